package curriculum

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/intarray"
)

// A plan kept on disk is a directory: order-S-B.npy, the units of source S in
// bucket B, and plan.json, which is written last. What paces say is not kept:
// opening walks through them again and holds the result against the file.
const (
	planName   = "plan.json"
	planFormat = 1
)

// maxPlanFile bounds what Open reads: some 100 bytes a segment.
const maxPlanFile = 1 << 28

// saved is what plan.json holds.
type saved struct {
	Format   int           `json:"format"`
	Version  int           `json:"version"`  // of the order
	Identity string        `json:"identity"` // Config.Identity
	First    Position      `json:"first"`
	End      Position      `json:"end"`
	Levels   []level       `json:"levels"`
	Basis    *basis        `json:"basis,omitempty"` // of the stages, where pools of other levels were: rounds ran out
	Uses     []int         `json:"uses"`            // of which segment.Used are
	Sources  []savedSource `json:"sources"`
	Left     int64         `json:"left"`     // Plan.Discarded
	Checksum string        `json:"checksum"` // SHA-256 of this file with nothing here
}

type savedSource struct {
	Samples int64        `json:"samples"`
	Buckets []savedUnits `json:"buckets"`
	Runs    []run        `json:"runs"`
	Never   [][10]int64  `json:"never,omitempty"`
}

type savedUnits struct {
	Units    int64     `json:"units"`
	Checksum uint32    `json:"checksum"` // CRC-32C of the file of the order
	Segments []segment `json:"segments"`
}

func (s saved) encode() ([]byte, error) {
	s.Checksum = ""
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	s.Checksum = hex.EncodeToString(sum[:])
	return json.Marshal(s)
}

// save writes plan.json, which makes the files in Config.Dir a plan.
func (p *Plan) save() error {
	s := saved{
		Format: planFormat, Version: Version, Identity: p.config.Identity,
		First: p.first, End: p.end, Levels: p.levels, Uses: p.uses, Left: p.discarded,
	}
	if p.basis.Levels != nil && !slices.EqualFunc(p.basis.Levels, p.levels, level.equal) {
		s.Basis = &p.basis
	}
	for i := range p.units {
		source := savedSource{Samples: p.config.Sources[i].Samples, Runs: p.runs[i], Never: p.never[i]}
		for b := range p.units[i] {
			sum, err := fileSum(p.file("order", i, b))
			if err != nil {
				return err
			}
			source.Buckets = append(source.Buckets, savedUnits{p.units[i][b].order.Len(), sum, p.units[i][b].segments})
		}
		s.Sources = append(s.Sources, source)
	}
	text, err := s.encode()
	if err != nil {
		return err
	}
	if len(text) > maxPlanFile {
		return invalid(admitPart(0, ""), "the paces make %d levels of difficulty, whose plan takes %d bytes and may take %d; raise 'step' of a pace",
			len(p.levels), len(text), maxPlanFile)
	}
	return atomicfile.Write(filepath.Join(p.config.Dir, planName), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// fileSum returns the CRC-32C of a file: any damaged byte changes it.
func fileSum(path string) (uint32, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	_, err = io.Copy(h, f)
	return h.Sum32(), err
}

// Kept reports whether a directory holds a plan; "" is none.
func Kept(dir string) bool {
	if dir == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(dir, planName))
	return err == nil
}

// Open opens the plan that an earlier Compile kept in c.Dir. Columns are not
// needed, and neither are the numbers of samples: if 0, they are as they were. A
// plan of another Identity is an error of kind fault.Mismatch, a damaged one of
// kind fault.Corrupt; an empty Identity takes any.
func Open(c Config) (_ *Plan, err error) {
	s, err := readSaved(c.Dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(c.Dir, planName)
	switch {
	case s.Version != Version:
		return nil, fault.Mismatchf("%s orders samples by version %d, and this program by version %d", path, s.Version, Version)
	case c.Identity != "" && s.Identity != c.Identity:
		return nil, fault.Mismatchf("%s belongs to another recipe, corpus or index; %s", path, anew(c.Dir, s.First))
	case len(s.Sources) != len(c.Sources):
		return nil, fault.Mismatchf("%s has %d sources, and the recipe %d", path, len(s.Sources), len(c.Sources))
	}
	if c.Shapes == 0 {
		c.Shapes = DefaultShapes
	}
	if n := len(s.Levels[0].Difficulty); n != len(c.Admit) || s.First.Layers != c.Layers {
		return nil, fault.Mismatchf("%s is of %d metrics and a model of %d layers, and the recipe of %d and %d; %s",
			path, n, s.First.Layers, len(c.Admit), c.Layers, anew(c.Dir, s.First))
	}
	c.Sources, c.Admit = slices.Clone(c.Sources), slices.Clone(c.Admit)
	for i := range c.Sources {
		if n := c.Sources[i].Samples; n != 0 && n != s.Sources[i].Samples {
			return nil, fault.Mismatchf("%s has %d samples of source %d, and the corpus %d", path, s.Sources[i].Samples, i, n)
		}
		c.Sources[i].Samples, c.Sources[i].Columns = s.Sources[i].Samples, nil
	}
	if err := c.check(false); err != nil {
		return nil, err
	}
	p := newPlan(c)
	p.first, p.discarded = s.First, s.Left
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if err := p.restore(s); err != nil {
		return nil, err
	}
	p.levels, p.uses = s.Levels, s.Uses
	known := basis{s.Levels, p.pools()}
	if s.Basis != nil {
		known = *s.Basis
	}
	if err := p.walk(known); err != nil {
		return nil, err
	}
	if p.end != s.End || !slices.EqualFunc(p.levels, s.Levels, level.equal) || len(p.uses) != len(s.Uses) {
		return nil, fault.Mismatchf("%s has other stages than the recipe's paces; %s", path, anew(c.Dir, s.First))
	}
	return p, p.fillPools()
}

// restore opens the orders.
func (p *Plan) restore(s saved) error {
	p.units = make([][]units, len(s.Sources))
	for i, source := range s.Sources {
		p.runs = append(p.runs, source.Runs)
		p.never = append(p.never, source.Never)
		if len(source.Buckets) != len(p.config.Buckets) {
			return fault.Mismatchf("%s has %d buckets, and the recipe %d", filepath.Join(p.config.Dir, planName), len(source.Buckets), len(p.config.Buckets))
		}
		for b, u := range source.Buckets {
			path := p.file("order", i, b)
			sum, err := fileSum(path)
			if err != nil {
				return missing(err)
			}
			if sum != u.Checksum {
				return fault.Corruptf("%s: its checksum does not match; %s", path, anew(p.config.Dir, p.first))
			}
			order, err := intarray.Open(path)
			if err != nil {
				return err
			}
			p.units[i] = append(p.units[i], units{order, u.Segments})
			if order.Len() != u.Units {
				return fault.Corruptf("%s: %d units, and plan.json has %d", path, order.Len(), u.Units)
			}
			end := int64(1) << SourceShift
			if p.config.Sources[i].Units == nil {
				end = source.Samples
			}
			for place := range order.Len() {
				if unit := order.At(place); unit < 0 || unit >= end {
					return fault.Corruptf("%s: place %d has unit %d; there are %d", path, place, unit, end)
				}
			}
		}
	}
	return nil
}

// readSaved reads plan.json and holds it to be possible.
func readSaved(dir string) (saved, error) {
	var s saved
	path := filepath.Join(dir, planName)
	info, err := os.Stat(path)
	if err != nil {
		return s, missing(err)
	}
	if info.Size() > maxPlanFile {
		return s, fault.Corruptf("%s: %d bytes; a plan has at most %d", path, info.Size(), maxPlanFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	return parseSaved(path, text)
}

func parseSaved(path string, text []byte) (saved, error) {
	var s saved
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fault.Corruptf("%s: %w", path, err)
	}
	if s.Format != planFormat {
		return s, fault.Mismatchf("%s: format %d; this program reads format %d", path, s.Format, planFormat)
	}
	if again, err := s.encode(); err != nil || string(again) != string(text) {
		return s, fault.Corruptf("%s: its checksum does not match", path)
	}
	if problem := s.problem(); problem != "" {
		return s, fault.Corruptf("%s: %s", path, problem)
	}
	return s, nil
}

// missing makes a file that is not there a plan that is not whole.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no whole plan: %w", err)
	}
	return err
}

// problem says what of a plan cannot be; empty: nothing. After it, nothing that it
// holds leads outside of anything else in it.
func (s *saved) problem() string {
	if f := s.First; f.Steps < 0 || f.Tokens < 0 || f.LayerSum < 0 {
		return fmt.Sprintf("it begins at %+v", f)
	}
	if len(s.Levels) == 0 {
		return "it has no levels"
	}
	metrics := len(s.Levels[0].Difficulty)
	known := s.Levels
	if s.Basis != nil {
		if known = append(slices.Clone(known), s.Basis.Levels...); len(s.Basis.Levels) == 0 || len(s.Basis.Pools) != len(s.Basis.Levels) {
			return fmt.Sprintf("its stages are based on %d levels and %d pools", len(s.Basis.Levels), len(s.Basis.Pools))
		}
		for l, pools := range s.Basis.Pools {
			same := func(pools []int64, source savedSource) bool { return len(pools) == len(source.Buckets) }
			if !slices.EqualFunc(pools, s.Sources, same) {
				return fmt.Sprintf("the pools of level %d that its stages are based on are not those of its sources", l)
			}
		}
	}
	for l, level := range known {
		if len(level.Difficulty) != metrics || level.Floor != nil && len(level.Floor) != metrics {
			return fmt.Sprintf("level %d of %d is of %d metrics and %d floors, not of %d", l, len(known), len(level.Difficulty), len(level.Floor), metrics)
		}
	}
	for i := range s.Sources {
		if problem := s.Sources[i].problem(len(s.Levels), metrics, len(s.Uses)); problem != "" {
			return fmt.Sprintf("source %d: %s", i, problem)
		}
	}
	return ""
}

func (s *savedSource) problem(levels, metrics, uses int) string {
	if s.Samples < 0 || len(s.Never) != metrics {
		return fmt.Sprintf("it has %d samples, and %d metrics of %d", s.Samples, len(s.Never), metrics)
	}
	for b, u := range s.Buckets {
		at := int64(0)
		for j, g := range u.Segments {
			if g.Low != at || g.High <= g.Low || g.High > u.Units || g.Waiting < 1 || g.Waiting > g.High-g.Low ||
				g.Entry < 0 || g.Entry >= g.Exit || g.Exit > levels || len(g.Used) != uses {
				return fmt.Sprintf("segment %d of bucket %d cannot be: %+v", j, b, g)
			}
			at = g.High
		}
		if at != u.Units {
			return fmt.Sprintf("bucket %d has %d units, and its segments %d", b, u.Units, at)
		}
	}
	for _, r := range s.Runs {
		if r.Entry < 0 || r.Entry >= r.Exit || r.Exit > levels || len(r.Deciles) != metrics {
			return fmt.Sprintf("a run cannot be: %+v", r)
		}
	}
	return ""
}

// anew says how to plan anew: what a plan went on from is only in itself.
func anew(dir string, first Position) string {
	if first.Steps > 0 {
		return "it went on from an earlier run: go on from that again, with --from, in another directory"
	}
	return fmt.Sprintf("remove %s to plan anew", dir)
}
