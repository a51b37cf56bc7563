// Command policy is gradus with one more routing policy, stride: a routed layer sees
// tokens at equal distances, from a random one on. So it sees every stretch of a row
// alike, and keeps every token equally often. A recipe says
//
//	routing: {policy: stride, keep: {kind: linear, from: 64, to: 256, step: 32, until: 70%}}
package main

import (
	"github.com/gradus-ml/gradus/cmd"
	"github.com/gradus-ml/gradus/route"
)

type stride struct{}

func (stride) Keep(kept []int32, length int, d route.Draw) {
	shift := d.Rand().IntN(length) // the same for the same seed, step, layer and row
	for i := range kept {
		kept[i] = int32((i*length + shift) / len(kept))
	}
}

func main() {
	route.Register("stride", "tokens at equal distances, from a random one on", stride{})
	cmd.Main()
}
