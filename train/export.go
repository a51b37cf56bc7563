package train

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/gradus-ml/gradus/internal/atomicdir"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/safetensors"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/tokenizer"
)

// Files of Hugging Face's library beside a model.
const (
	tokenizerFile       = "tokenizer.json"
	tokenizerConfigFile = "tokenizer_config.json"
	imagesFile          = "preprocessor_config.json"
)

// ExportOptions of ExportHub. The zero of a field is its default.
type ExportOptions struct {
	Tokenizer string // the tokenizer.json that the model was trained with; default: none
	Force     bool   // replace an earlier export
}

// Exported says what ExportHub wrote.
type Exported struct {
	Model      string   `json:"model"`      // in one line
	Parameters int64    `json:"parameters"` // numbers in it
	Weights    string   `json:"weights"`    // SHA-256 of the file they were read from
	Tokenizer  string   `json:"tokenizer"`  // name of the one that the model was trained with; empty: not known
	Files      []string `json:"files"`
}

// ExportHub writes a directory from which Hugging Face's from_pretrained opens a
// model: config.json, model.safetensors, a tokenizer.json if one is given, and for
// a ViT how images become pixels. The model is what OpenWeights finds; of a
// checkpoint that keeps an average, the average is exported. After an error
// nothing is there that was not before.
func ExportHub(path, out string, o ExportOptions) (Exported, error) {
	w, err := OpenWeights(path)
	if err != nil {
		return Exported{}, err
	}
	if w.Model == nil {
		return Exported{}, fault.Invalidf("%s says nothing of its model; put its %s beside it", path, configFile)
	}
	c := *w.Model
	stored, err := w.tensors()
	if err != nil {
		return Exported{}, err
	}
	weights, err := c.Restore(stored)
	if err != nil {
		return Exported{}, fmt.Errorf("%s: %w", path, err)
	}
	files := map[string]func(io.Writer) error{
		configFile: bytesOf(c.HubConfig()),
		modelFile: func(to io.Writer) error {
			return safetensors.Write(to, c.Store(weights), map[string]string{"format": "pt"})
		},
	}
	if o.Tokenizer != "" {
		if err := addTokenizer(files, w, o.Tokenizer); err != nil {
			return Exported{}, err
		}
	}
	if c.Is(model.ViT) {
		files[imagesFile] = bytesOf(imagesConfig(c.Image))
	}
	done := Exported{
		Model: c.String(), Parameters: c.Parameters(), Weights: w.Digest, Tokenizer: w.Tokenizer, Files: slices.Sorted(maps.Keys(files)),
	}
	return done, writeExport(out, o.Force, files)
}

// writeExport makes a directory of files.
func writeExport(out string, force bool, files map[string]func(io.Writer) error) error {
	ours := func(name string, dir bool) bool {
		return !dir && slices.Contains([]string{configFile, modelFile, tokenizerFile, tokenizerConfigFile, imagesFile}, name)
	}
	d, err := atomicdir.Create(out, force, ours)
	if err != nil {
		return err
	}
	defer d.Abort()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := atomicfile.Write(filepath.Join(d.Path(), name), files[name]); err != nil {
			return err
		}
	}
	return d.Commit()
}

func bytesOf(text []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}
}

// addTokenizer adds the file of the tokenizer that a model was trained with.
func addTokenizer(files map[string]func(io.Writer) error, w *Weights, name string) error {
	tok, err := tokenizer.New(name)
	if err != nil {
		return err
	}
	switch own := tok.Name(); {
	case !tokenizer.FromFile(own):
		return fault.Invalidf("--tokenizer %s: it has no file; give a tokenizer.json", name)
	case w.Tokenizer != "" && own != w.Tokenizer:
		return fault.Mismatchf("%s was trained with tokenizer %s, and %s is %s", w.Path, w.Tokenizer, name, own)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	files[tokenizerFile] = bytesOf(content)
	files[tokenizerConfigFile] = bytesOf([]byte("{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n"))
	return nil
}

// imagesConfig says how an image becomes the model's pixels: scaled to its size,
// and from [0, 255] to [-1, 1].
func imagesConfig(i model.Image) []byte {
	half := slices.Repeat([]float64{0.5}, i.Channels)
	content, err := json.MarshalIndent(map[string]any{
		"image_processor_type": "ViTImageProcessor", "do_resize": true, "size": map[string]int{"height": i.Height, "width": i.Width},
		"do_rescale": true, "rescale_factor": 1.0 / 255, "do_normalize": true, "image_mean": half, "image_std": half,
	}, "", "  ")
	if err != nil { // plain values only
		panic(fmt.Sprintf("train: %v", err))
	}
	return append(content, '\n')
}
