package pace

// Stepped is temporary.
type Stepped interface {
	Pace
	Next(clock float64) float64
}
