package curriculum

// An Origin is the earlier run that a plan goes on from: it begins at the run's
// position, and serves what the run's passes have not reached before anything of
// them again.
type Origin struct {
	Position Position
	// Done reports whether the earlier run has served a sample of a source in its
	// current pass. Safe for concurrent use.
	Done func(source int, sample int64) bool
}
