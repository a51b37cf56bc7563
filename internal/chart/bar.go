package chart

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Plot draws the bar, for gonum/plot. Half a unit stays free between
// neighbours, and whatever is more than nothing can be seen.
func (b Bar) Plot(c draw.Canvas, p *plot.Plot) {
	if !(b.Height > 0) {
		return
	}
	trX, trY := p.Transforms(&c)
	const gap, least = 0.5, 1
	left, right := trX(b.From)+gap/2, trX(b.To)-gap/2
	if right < left+least {
		right = left + least
	}
	bottom, top := trY(0), trY(min(b.Height, p.Y.Max))
	top = max(top, bottom+least)
	t, _ := lineTone(1)
	c.FillPolygon(t.color(), []vg.Point{{X: left, Y: bottom}, {X: left, Y: top}, {X: right, Y: top}, {X: right, Y: bottom}})
}
