package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gradus-ml/gradus/bench/measure"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// Packing is documents packed into rows, by arrange's own benchmark, beside two
// loops over the same lengths.
type Packing struct {
	Documents int `json:"documents"`
	Length    int `json:"length"` // of a row

	Each  measure.Spread `json:"nanoseconds_per_document"`
	Piece measure.Spread `json:"nanoseconds_per_piece"`
	Fill  float64        `json:"fill_percent"`
	// Shared is the fill of the rows that are not one part of a long document.
	Shared float64 `json:"shared_fill_percent"`
	Heap   float64 `json:"heap_bytes"` // allocated besides files, in all

	// NextFit puts documents side by side in the order of the corpus and begins a
	// row where the next does not fit; long ones are cut as ours are.
	NextFit float64        `json:"next_fit_percent"`
	Loop    measure.Spread `json:"next_fit_nanoseconds_per_document"`
	Padded  float64        `json:"padded_percent"` // every part in a row of its own
}

// measurePacking runs arrange's benchmark of packing.
func measurePacking(ctx context.Context, o options, _ *original, r *Report) error {
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkPack$", "-benchmem",
		"-benchtime", "1x", "-count", fmt.Sprint(o.originalRuns), "./arrange").CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("go test -bench BenchmarkPack ./arrange: %w: %s", err, lines[len(lines)-1])
	}
	r.Packing, err = parsePacking(string(out))
	if err != nil {
		return err
	}
	real, err := sourceLengths(ctx)
	if err != nil {
		return err
	}
	for i := range r.Packing {
		p := &r.Packing[i]
		p.beside(drawLengths(real, p.Documents), o.originalRuns)
		say("%s documents in rows of %d: %.0f ns a document, %.2f%% full; next fit %.2f%%", measure.SI(float64(p.Documents)), p.Length, p.Each.Median, p.Fill, p.NextFit)
	}
	return nil
}

var packLine = regexp.MustCompile(`(?m)^BenchmarkPack/(\d+)M/(\d+)\S*\s+\d+\s+(.*)$`)

// parsePacking reads what the benchmark has printed.
func parsePacking(text string) ([]Packing, error) {
	type key struct{ documents, length int }
	runs := map[key][]map[string]float64{}
	var order []key
	for _, m := range packLine.FindAllStringSubmatch(text, -1) {
		millions, _ := strconv.Atoi(m[1])
		length, _ := strconv.Atoi(m[2])
		k := key{millions * 1_000_000, length}
		if runs[k] == nil {
			order = append(order, k)
		}
		values, fields := map[string]float64{}, strings.Fields(m[3])
		for i := 0; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("output of BenchmarkPack: %w", err)
			}
			values[fields[i+1]] = v
		}
		runs[k] = append(runs[k], values)
	}
	if len(order) == 0 {
		return nil, errors.New("BenchmarkPack measured nothing; it needs the sources of Go, or a text in GRADUS_BENCH_TEXT")
	}
	var packings []Packing
	for _, k := range order {
		of := func(unit string) measure.Spread {
			var all []float64
			for _, values := range runs[k] {
				all = append(all, values[unit])
			}
			return measure.Of(all)
		}
		packings = append(packings, Packing{
			Documents: k.documents, Length: k.length, Each: of("ns/document"), Piece: of("ns/piece"),
			Fill: of("%fill").Median, Shared: of("%shared").Median, Heap: of("B/op").Median,
		})
	}
	return packings, nil
}

// sourceLengths are the lengths that BenchmarkPack draws from: of Go's own
// sources in bytes, with a token that ends each.
func sourceLengths(ctx context.Context) (lengths []int, err error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("find Go's own source: %w", err)
	}
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		info, err := os.Stat(path)
		if err == nil {
			lengths = append(lengths, int(info.Size())+1)
		}
		return err
	})
	if err == nil && len(lengths) == 0 {
		err = errors.New("there is no source of Go's own")
	}
	return lengths, err
}

// drawLengths draws n lengths as BenchmarkPack does.
func drawLengths(real []int, n int) []int {
	lengths, draws := make([]int, n), keyed.NewKey(1, "bench", uint64(n)).Stream()
	for i := range lengths {
		lengths[i] = real[draws.Uint64N(uint64(len(real)))]
	}
	return lengths
}

// beside measures the loops. A document of n tokens has n-1 inputs.
func (p *Packing) beside(lengths []int, runs int) {
	var each []float64
	for range runs {
		began := time.Now()
		held, rows, left := 0, 0, 0
		for _, n := range lengths {
			inputs := n - 1
			held += inputs
			rows += inputs / p.Length
			rest := inputs % p.Length
			if rest == 0 {
				continue
			}
			if rest > left {
				rows++
				left = p.Length
			}
			left -= rest
		}
		each = append(each, float64(time.Since(began).Nanoseconds())/float64(len(lengths)))
		p.NextFit = 100 * float64(held) / float64(rows*p.Length)
	}
	p.Loop = measure.Of(each)
	held, rows := 0, 0
	for _, n := range lengths {
		held += n - 1
		rows += (n - 2 + p.Length) / p.Length
	}
	p.Padded = 100 * float64(held) / float64(rows*p.Length)
}
