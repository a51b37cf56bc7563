// Command policy is gradus with one more routing policy, stride: a routed layer sees
// tokens at equal distances, one token further on in each step, layer and row. So
// every token is kept equally often, without a random number. A recipe says
//
//	routing: {policy: stride, keep: {kind: linear, from: 64, to: 256, step: 32, until: 70%}}
package main

import (
	"github.com/gradus-ml/gradus/cmd"
	"github.com/gradus-ml/gradus/route"
)

type stride struct{}

func (stride) Keep(kept []int32, length int, d route.Draw) {
	turn := (int(d.Step%int64(length)) + d.Layer + d.Row) % length
	shift := len(kept) * turn % length
	for i := range kept {
		kept[i] = int32((i*length + shift) / len(kept))
	}
}

func main() {
	route.Register("stride", "tokens at equal distances, one further on each time", stride{})
	cmd.Main()
}
