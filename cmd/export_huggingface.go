package cmd

import (
	"fmt"
	"strings"

	"github.com/gradus-ml/gradus/tokenizer"
	"github.com/gradus-ml/gradus/train"
	"github.com/spf13/cobra"
)

func newExportHuggingFace() *cobra.Command {
	var o train.ExportOptions
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "huggingface RUN|CHECKPOINT --out DIR",
		Short: "Write a trained model as Hugging Face's library reads it",
		Long: `Export huggingface writes the model of a run's newest checkpoint, or of the one
named, into a directory that transformers opens with from_pretrained: a GPT as
GPT2LMHeadModel (with rotary positions as GPTNeoXForCausalLM), a BERT as
BertForMaskedLM, a ViT as ViTForImageClassification with its image processor. If
the run kept an average of its weights, the average is written.

A checkpoint directory opens there as it is; the export is smaller, has the
average if there is one, and can hold the tokenizer: --tokenizer copies the
tokenizer.json that the corpus was made with.`,
		Example: `  gradus export huggingface runs/small --out small-hf
  gradus export huggingface runs/small/checkpoints/best --tokenizer tokenizer.json --out small-hf`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "out"); err != nil {
				return err
			}
			done, err := train.ExportHub(args[0], out, o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), done)
			}
			w := cmd.OutOrStdout()
			if o.Tokenizer == "" && done.Tokenizer != "pixels" { // images need none
				fmt.Fprintln(w, missingTokenizer(done.Tokenizer))
			}
			_, err = fmt.Fprintf(w, "huggingface: %s (%s, %s parameters): %s\n", out, done.Model, count(done.Parameters), strings.Join(done.Files, ", "))
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "directory to make")
	f.StringVar(&o.Tokenizer, "tokenizer", "", "tokenizer.json that the corpus was made with, to copy")
	f.BoolVar(&o.Force, "force", false, "replace an existing export")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// missingTokenizer says what an export lacks to turn text into tokens.
func missingTokenizer(name string) string {
	switch {
	case name == "":
		return "no tokenizer is written: that of the model's corpus is not known"
	case tokenizer.FromFile(name):
		return "no tokenizer is written: it is a tokenizer.json; give it with --tokenizer"
	case name == "bytes":
		return "no tokenizer is written: tokens are the bytes of the text, and 256 ends a document"
	case name == "r50k":
		return "no tokenizer is written: it is GPT-2's, which transformers has as 'gpt2'"
	}
	return "no tokenizer is written: it is " + name
}
