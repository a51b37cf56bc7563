package cmd

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/gradus-ml/gradus/recipe"
)

// printOrigin says what becomes of the samples of the run that a plan goes on
// from.
func printOrigin(out io.Writer, o *recipe.Origin) {
	fmt.Fprintf(out, "it goes on from step %d of %s (%s): after %s tokens, %s layer-tokens\n",
		o.Position.Steps, o.Run, filepath.Base(o.Checkpoint), count(o.Position.Tokens), count(int64(o.Position.LayerTokens())))
	if o.Recut {
		fmt.Fprintln(out, "  samples are cut otherwise than before: one counts as served if all its tokens were")
	}
	fmt.Fprintf(out, "  served in its pass: %s samples; they come again only after those that wait; %s of them do in this plan\n", count(o.Served), count(o.Again))
	fmt.Fprintf(out, "  waiting in its pass: %s samples; they come first; %s of them are served\n", count(o.Waiting), count(o.First))
	if lost := o.Dropped + o.Unreached; lost == 0 {
		fmt.Fprintln(out, "  nothing of the pass is lost")
	} else {
		fmt.Fprintf(out, "  lost of the pass: %s samples: %s that this recipe does not admit, %s that its budget does not reach\n",
			count(lost), count(o.Dropped), count(o.Unreached))
	}
	fmt.Fprintf(out, "  new: %s samples that the earlier run had not admitted are served\n\n", count(o.New))
}
