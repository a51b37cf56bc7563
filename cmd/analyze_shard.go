package cmd

import (
	"fmt"
	"time"

	"github.com/gradus-ml/gradus/analyze"
	"github.com/spf13/cobra"
)

// shardPoll is how often a part that waits looks for the others' statistics,
// for which it reads how far each of them is.
const shardPoll = 5 * time.Second

// runShard makes one part.
func (f *analyzeFlags) runShard(cmd *cobra.Command, job *analyze.Job, g *gauge) error {
	shard, err := analyze.ParseShard(f.shard)
	if err != nil {
		return err
	}
	ctx, deadline := cmd.Context(), time.Now().Add(f.wait)
	for {
		result, err := analyze.RunShard(ctx, job, f.out, shard, f.analyzer)
		g.close()
		if err != nil {
			return goOn(err, f.out+".shards")
		}
		if result.Done || time.Now().After(deadline) {
			return f.printShard(cmd, result)
		}
		select {
		case <-ctx.Done():
			return goOn(ctx.Err(), f.out+".shards")
		case <-time.After(min(shardPoll, time.Until(deadline)+time.Millisecond)):
		}
		f.analyzer.Restart = false // what was restarted is now under way
	}
}

func (f *analyzeFlags) printShard(cmd *cobra.Command, r analyze.ShardResult) error {
	out := cmd.OutOrStdout()
	if f.json {
		return printJSON(out, r)
	}
	if r.Done {
		_, err := fmt.Fprintf(out, "shard %s is done; when all %d are: gradus analyze --merge --out %s\n", r.Shard, r.Shard.Count, f.out)
		return err
	}
	_, err := fmt.Fprintf(out, "shard %s has gathered its statistics and waits for those of %s; run it again when they are done\n", r.Shard, listShards(r.Waiting))
	return err
}

// listShards names a few shards.
func listShards(shards []analyze.Shard) string {
	text := ""
	for i, s := range shards {
		if i == 8 {
			return text + ", ..."
		}
		if i > 0 {
			text += ", "
		}
		text += s.String()
	}
	return text
}

// runMerge makes the index of its parts. The corpus and the metrics are those
// the parts name, unless flags say where they are now.
func (f *analyzeFlags) runMerge(cmd *cobra.Command) error {
	parts, err := analyze.Shards(f.out)
	if err != nil {
		return err
	}
	if !cmd.Flags().Changed("metric") {
		f.metrics = parts.Specs
	}
	open := parts.Head.Open
	if len(f.corpus) > 0 {
		open = f.open
	}
	job, done, err := f.job(open)
	if err != nil {
		return err
	}
	defer done()
	g := newGauge(cmd.ErrOrStderr())
	f.analyzer.Progress = analyzeProgress(g)
	result, err := analyze.Merge(cmd.Context(), job, f.out, parts.Count, f.analyzer)
	g.close()
	if err != nil {
		return goOn(err, f.out+".shards")
	}
	return f.finish(cmd, result, job.Samples())
}
