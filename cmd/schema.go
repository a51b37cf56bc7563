package cmd

import (
	"github.com/gradus-ml/gradus/recipe"
	"github.com/spf13/cobra"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of recipes",
		Long: `Schema prints the JSON Schema (draft 2020-12) of recipes, with the metrics' paces,
shapers and policies that this program knows. An editor completes and checks
recipes by it: write it to a file and name that at the top of a recipe,

  # yaml-language-server: $schema=recipe.schema.json`,
		Example: "  gradus schema > recipe.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(recipe.Schema())
			return err
		},
	}
}
