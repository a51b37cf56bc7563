package lookup

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// compareFields holds find and fields against the standard library's reading of
// an object.
func compareFields(t interface{ Fatalf(string, ...any) }, object []byte) {
	var want map[string]json.RawMessage
	if err := json.Unmarshal(object, &want); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	seen := map[string]bool{}
	for name := range fields(object) {
		seen[unquote(name)] = true
	}
	if len(seen) != len(want) {
		t.Fatalf("%s has fields %v, want %v", object, seen, want)
	}
	for name, value := range want {
		if got := find(object, name); !bytes.Equal(got, value) {
			// Invalid UTF-8 and unpaired surrogates are not found under the
			// replacement that the library makes of them.
			if !bytes.ContainsRune([]byte(name), '\ufffd') {
				t.Fatalf("%s: field %q is %q, want %q", object, name, got, value)
			}
		}
	}
	if find(object, "no such field") != nil {
		t.Fatalf("%s has a field it has not", object)
	}
}

func valueGen(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kinds := 5
		if depth == 0 {
			kinds = 3
		}
		pad := rapid.SampledFrom([]string{"", " ", "\t\r"})
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return rapid.SampledFrom([]string{"0", "-1.5e-7", "true", "null", "12345678901234567890", `""`, `"\\"`, `"\""`, `"}],{\""`}).Draw(t, "scalar")
		case 1:
			text, _ := json.Marshal(rapid.String().Draw(t, "text"))
			return string(text)
		case 2:
			return rapid.SampledFrom([]string{"{}", "[]", "{ }", "[ ]"}).Draw(t, "empty")
		case 3:
			text := "["
			for i, v := range rapid.SliceOfN(valueGen(depth-1), 1, 3).Draw(t, "list") {
				if i > 0 {
					text += ","
				}
				text += pad.Draw(t, "pad") + v + pad.Draw(t, "pad")
			}
			return text + "]"
		default:
			return objectGen(depth-1).Draw(t, "object")
		}
	})
}

func objectGen(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		pad := rapid.SampledFrom([]string{"", " ", "\t\r"})
		text := "{" + pad.Draw(t, "pad")
		for i := range rapid.IntRange(0, 4).Draw(t, "fields") {
			if i > 0 {
				text += "," + pad.Draw(t, "pad")
			}
			name := rapid.SampledFrom([]string{`"a"`, `"b"`, `"\u0061"`, `"a\"b"`, `"}"`, `""`, `"\\"`, `"ü"`}).Draw(t, "name")
			text += name + pad.Draw(t, "pad") + ":" + pad.Draw(t, "pad") + valueGen(depth).Draw(t, "value") + pad.Draw(t, "pad")
		}
		return text + "}"
	})
}

func TestFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { compareFields(t, []byte(objectGen(3).Draw(t, "object"))) })
}

func FuzzFields(f *testing.F) {
	for _, text := range []string{`{"a":1}`, `{ "a" : [1,{"b":"}"}] , "b":{"c":{}}}`, `{"\u0061":"\\\"","a":null}`, "{\"\xff\":1}", `{"\ud800":1,"x":2}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		if object = bytes.TrimSpace(object); json.Valid(object) && object[0] == '{' {
			compareFields(t, object)
		}
	})
}
