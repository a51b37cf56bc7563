//go:build !goexperiment.simd

package train

// simd says how the Go backend was built.
const simd = "without SIMD instructions: build with GOEXPERIMENT=simd, and it is five times as fast"
