package analyze

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/dirlock"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// The splits of the original: boundaries of (5,10,8), (0,20,4) and (0,3,5).
func TestShardOf(t *testing.T) {
	for _, c := range []struct {
		n     int64
		count int
		want  []int64
	}{
		{5, 8, []int64{0, 0, 1, 1, 2, 3, 3, 4, 5}},
		{20, 4, []int64{0, 5, 10, 15, 20}},
		{3, 5, []int64{0, 0, 1, 1, 2, 3}},
		{1 << 60, 2, []int64{0, 1 << 59, 1 << 60}},
	} {
		got := []int64{0}
		for i := range c.count {
			from, to := (Shard{i, c.count}).of(c.n)
			if from != got[len(got)-1] {
				t.Errorf("%d of %d: starts at %d", i, c.count, from)
			}
			got = append(got, to)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%d in %d: %v, want %v", c.n, c.count, got, c.want)
		}
	}
	for _, text := range []string{"", "1", "1/1", "-1/2", "2/2", "a/b", "0/0", "0/1000000000", "1/2/3"} {
		if s, err := ParseShard(text); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v, %v", text, s, err)
		}
	}
	if s, err := ParseShard("3/8"); err != nil || s != (Shard{3, 8}) {
		t.Error(s, err)
	}
}

// However many shards, in whatever order they run, and however often they are
// killed, the merged index is the one that a single machine makes.
func TestShardsMerge(t *testing.T) {
	base := t.TempDir()
	prefix := filepath.Join(base, "c")
	write(t, prefix, 0, text(300)...)
	wants := map[corpus.Cut]map[string]string{}
	metrics := []metric.Metric{metric.Length(), late{}, metric.Rarity()}
	// Not by rapid: each try is a hundred files and more, synced one by one.
	state := uint64(time.Now().UnixNano())
	t.Logf("seed %d", state)
	pick := func(n int) int {
		state = state*6364136223846793005 + 1442695040888963407 // Knuth's MMIX
		return int(state >> 33 % uint64(n))
	}
	for range 9 {
		cut := []corpus.Cut{{Documents: true}, {Window: 7}, {Window: 1000}}[pick(3)]
		s := open(t, prefix, cut)
		job, err := NewJob(s, metrics)
		if err != nil {
			t.Fatal(err)
		}
		if job.Passes() != 3 {
			t.Fatalf("%d passes", job.Passes())
		}
		if wants[cut] == nil {
			dir := filepath.Join(base, "whole")
			if _, err := job.Run(context.Background(), dir, Options{Force: true}); err != nil {
				t.Fatal(err)
			}
			wants[cut] = tree(t, dir)
		}
		dir := filepath.Join(base, "x")
		count := 1 + pick(4)
		var all []int
		for i := range count {
			all = append(all, i)
		}
		done := map[int]bool{}
		rounds := 0
		for len(done) < count {
			if rounds++; rounds > 10 {
				t.Fatal("no end")
			}
			for k := range all {
				other := k + pick(len(all)-k)
				all[k], all[other] = all[other], all[k]
			}
			for _, i := range all {
				ctx, cancel := context.WithCancel(context.Background())
				kill := pick(16)
				o := Options{BlockTokens: 1000, Checkpoint: 1, Workers: 2, Progress: func(Progress) {
					if kill--; kill == 0 {
						cancel()
					}
				}}
				result, err := RunShard(ctx, job, dir, Shard{i, count}, o)
				cancel()
				if errors.Is(err, context.Canceled) {
					result, err = RunShard(context.Background(), job, dir, Shard{i, count}, Options{})
				}
				if err != nil {
					t.Fatal(err)
				}
				if result.Done != (len(result.Waiting) == 0) || done[i] && !result.Done {
					t.Fatalf("%+v", result)
				}
				if result.Done {
					done[i] = true
				}
			}
			var missing *MissingError
			if len(done) < count {
				if _, err := Merge(context.Background(), job, dir, count, Options{}); !errors.As(err, &missing) || len(missing.Missing) != count-len(done) {
					t.Fatalf("%v with %d of %d done", err, len(done), count)
				}
			}
		}
		if rounds > 3 {
			t.Fatalf("%d rounds for 3 passes", rounds)
		}
		parts, err := Shards(dir)
		if err != nil || parts.Count != count || !slices.Equal(parts.Specs, []string{"length=length", "late=", "rarity=rarity"}) {
			t.Fatalf("%+v, %v", parts, err)
		}
		result, err := Merge(context.Background(), job, dir, count, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := tree(t, dir); !maps.Equal(got, wants[cut]) {
			t.Fatalf("%d shards: %s", count, cmp.Diff(wants[cut], got))
		}
		if result.Passes[0].Samples != s.Len() {
			t.Errorf("%+v", result.Passes)
		}
		if _, err := os.Stat(dir + ".shards"); !errors.Is(err, os.ErrNotExist) {
			t.Error("the shards are still there")
		}
		// A shard that comes late has nothing to do, and what a killed merge left
		// goes.
		if result, err := RunShard(context.Background(), job, dir, Shard{0, count}, Options{}); err != nil || !result.Done {
			t.Fatalf("%+v, %v", result, err)
		}
		if _, err := os.Stat(dir + ".shards"); !errors.Is(err, os.ErrNotExist) {
			t.Error("a late shard has begun anew")
		}
		if err := os.MkdirAll(Shard{0, count}.dir(dir), 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := Merge(context.Background(), job, dir, count, Options{}); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir + ".shards"); !errors.Is(err, os.ErrNotExist) {
			t.Error("the shards are still there")
		}
		os.RemoveAll(dir)
		s.Corpus().Close()
	}
}

func TestShardRefuses(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "x")
	write(t, filepath.Join(base, "c"), 0, text(100)...)
	s := open(t, filepath.Join(base, "c"), corpus.Cut{Documents: true})
	defer s.Corpus().Close()
	job, err := NewJob(s, []metric.Metric{metric.Rarity()})
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewJob(s, []metric.Metric{metric.Rarity(), metric.Length()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Shards(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for _, sh := range []Shard{{}, {1, 1}, {-1, 3}} {
		if _, err := RunShard(context.Background(), job, dir, sh, Options{}); !errors.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", sh, err)
		}
	}
	if _, err := RunShard(context.Background(), job, dir, Shard{0, 2}, Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := RunShard(context.Background(), other, dir, Shard{0, 2}, Options{}); !errors.Is(err, fault.Mismatch) {
		t.Error(err)
	}
	if _, err := RunShard(context.Background(), other, dir, Shard{1, 2}, Options{}); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "shard 0/2") {
		t.Error(err)
	}
	// A value that was damaged on its way is found.
	for _, i := range []int{1, 0, 1} {
		if _, err := RunShard(context.Background(), job, dir, Shard{i, 2}, Options{Restart: i == 1}); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir+".shards", "00001-of-00002", "statistics", "own.token-counts.bin")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Merge(context.Background(), job, dir, 2, Options{}); !errors.Is(err, fault.Corrupt) {
		t.Error(err)
	}
}

// The fingerprint of a corpus that has none beside it is found by one shard, and
// again when a file has changed.
func TestFingerprintOnce(t *testing.T) {
	base := t.TempDir()
	prefix, dir := filepath.Join(base, "c"), filepath.Join(base, "x")
	write(t, prefix, 0, text(20)...)
	if err := os.Remove(prefix + ".json"); err != nil {
		t.Fatal(err)
	}
	find := func() string {
		c, err := corpus.Open(prefix)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := fingerprintOnce(context.Background(), dir, c); err != nil {
			t.Fatal(err)
		}
		found, err := c.Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	right := find()
	name := filepath.Join(dir+".shards", knownName)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	other := "sha256:" + strings.Repeat("7", 64)
	if err := os.WriteFile(name, []byte(strings.Replace(string(data), right, other, 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := find(); got != other {
		t.Errorf("%s: everything was read again", got)
	}
	if err := os.Chtimes(prefix+".bin", time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if got := find(); got != right {
		t.Errorf("%s after the file has changed, want %s", got, right)
	}
	if err := os.WriteFile(name, []byte("damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := find(); got != right {
		t.Errorf("%s from a damaged file, want %s", got, right)
	}
	lock, err := dirlock.Lock(dir + ".shards")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := fingerprintOnce(ctx, dir, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while another shard is at it: %v", err)
	}
}
