//go:build goexperiment.simd

package train

// simd says how the Go backend was built.
const simd = "with SIMD instructions"
