package recipe_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "rewrite docs/recipe.schema.json")

// shipped is the schema of a release: that of the program before any test
// registers something of its own.
var shipped = recipe.Schema()

const schemaFile = "../docs/recipe.schema.json"

// The committed schema is that of the program.
func TestSchemaIsCurrent(t *testing.T) {
	if *update {
		if err := os.WriteFile(schemaFile, shipped, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(committed, shipped) {
		t.Errorf("%s is not what Schema returns; write it anew with: go test ./recipe -update", schemaFile)
	}
}

// compile returns the schema, ready to validate.
func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(shipped))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("recipe.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("recipe.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// obeys validates the text of a recipe.
func obeys(t *testing.T, schema *jsonschema.Schema, text []byte) error {
	t.Helper()
	document, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

// The recipes that are shipped, and those of the tests, obey the schema.
func TestSchemaAccepts(t *testing.T) {
	schema := compile(t)
	for _, pattern := range []string{"../recipes/*.yaml", "../recipes/finetune/*.yaml", "../recipes/deepspeed/*.yaml", "testdata/*.yaml"} {
		for _, file := range recipesAt(t, pattern) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := obeys(t, schema, text); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	for _, text := range accepted {
		if err := obeys(t, schema, []byte(text)); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

// What the schema can see is refused by it: unknown keys, words and types.
func TestSchemaRefuses(t *testing.T) {
	schema := compile(t)
	for _, c := range [][2]string{
		{"seed: 1234", "sed: 1234"}, {"seed: 1234", "seed: lots"}, {"window: 256", "windw: 256"}, {"by: percentile", "by: rank"},
		{"apply: truncate", "apply: fold"}, {"kind: root", "kind: rot"}, {"degree: 2", "degre: 2"}, {"until: 40%", "until: soon"},
		{"layers: inner", "layers: outer"}, {"layers: inner", "layers: 4-"}, {"layers: inner", "always: last"}, {"layers: inner", "drop: half"}, {"clock: layer-tokens", "clock: hours"}, {"sample: {window: 256}\n", ""}, {"rate: 3e-3, ", ""},
		{", until: 70%", ""}, {"policy: random-ltd", "policy: random"}, {"heads: 4", "heads: 0"}, {"size: 8", "size: [8]"},
	} {
		text := strings.Replace(good, c[0], c[1], 1)
		if text == good {
			t.Fatalf("%s: nothing replaced", c[0])
		}
		if err := obeys(t, schema, []byte(text)); err == nil {
			t.Errorf("%q for %q obeys the schema", c[1], c[0])
		}
	}
}
