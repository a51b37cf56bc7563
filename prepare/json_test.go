package prepare

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// checkQuick holds quickText to what package encoding/json says of a line.
func checkQuick(t interface {
	Helper()
	Errorf(string, ...any)
}, line []byte, field string) (quick bool) {
	t.Helper()
	want, err := textOf(line, field)
	got, _, ok := quickText(line, field, []byte("from before"))
	if ok && (err != nil || string(got) != want) {
		t.Errorf("%q: quickly %q, carefully %q, %v", line, got, want, err)
	}
	return ok
}

// lines are right and wrong in all the ways that there are.
var lines = []string{
	`{}`, `{"text":""}`, `{"text":"a"}`, ` { "text" : "a" , "b" : 1 } `, `{"b":[1,2,{"text":"no"}],"text":"yes"}`, `{"text":"a","text":"b"}`,
	`{"text":"a\n\t\"\\\/\b\f\r"}`, `{"text":"\u0041\u00e9\u20ac\ud83d\ude00"}`, `{"text":"\ud83d"}`, `{"text":"\ud83d\u0041"}`, `{"text":"\ude00\ud83d"}`, `{"text":"\ud83d\\ude00"}`,
	`{"text":"\uD83D\uDE00\ud83d\ud83d\ude00"}`, `{"text":"x\u12"}`, `{"text":"x\u12g4"}`, `{"text":"\x"}`, `{"text":"\`, `{"text":"`, `{"text`, `{"text":"a"`, `{"text":"a"}}`, `{"text":"a"},`,
	`{"text":"a",}`, `{,"text":"a"}`, `{"text" "a"}`, `{"text":1}`, `{"text":null}`, `{"text":["a"]}`, `["text","a"]`, `"text"`, `null`, `1`, ``, ` `,
	`{"n":-0,"text":"a"}`, `{"n":01,"text":"a"}`, `{"n":1.,"text":"a"}`, `{"n":.5,"text":"a"}`, `{"n":1e5,"text":"a"}`, `{"n":1E+05,"text":"a"}`, `{"n":1e,"text":"a"}`, `{"n":-,"text":"a"}`, `{"n":+1,"text":"a"}`,
	`{"n":true,"m":false,"o":null,"text":"a"}`, `{"n":tru,"text":"a"}`, `{"n":nulL,"text":"a"}`, `{"n":[],"m":{},"o":[[]],"text":"a"}`, `{"n":[1,],"text":"a"}`, `{"n":{"a":1,},"text":"a"}`, `{"n":{1:1},"text":"a"}`,
	"{\"text\":\"tab\there\"}", "{\"text\":\"\x1f\"}", "{\"text\":\"\x7f\"}", "{\"n\":\"\x01\",\"text\":\"a\"}", "{\"text\":\"\xff\"}", "{\"n\":\"\xff\",\"text\":\"a\"}", "{\"\xff\":1,\"text\":\"a\"}",
	`{"te\u0078t":"a"}`, `{"té":"a","text":"b"}`, `{"Text":"a"}`, "{\"text\":\"\ufeff\u2028é日本\"}", "\ufeff{\"text\":\"a\"}", "{\n\t\"text\"\r:\n\"a\"}", "{\v\"text\":\"a\"}",
	`{"n":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `,"text":"a"}`, `{"n":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `,"text":"a"}`,
	`{"a":"` + strings.Repeat("long ", 100) + `","text":"` + strings.Repeat(`long \" `, 100) + `"}`,
}

func TestQuickText(t *testing.T) {
	for _, line := range lines {
		checkQuick(t, []byte(line), "text")
		for cut := range min(len(line), 200) {
			checkQuick(t, []byte(line[:cut]), "text")
			checkQuick(t, []byte(line[:cut]+line[cut+1:]), "text")
		}
	}
	// Any object that package encoding/json writes goes the quick way.
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		object := map[string]any{"text": text, "a": rapid.Float64().Draw(t, "a"), "b": []any{rapid.String().Draw(t, "b"), nil, true}, "z": map[string]any{"text": 1}}
		line, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if !checkQuick(t, line, "text") {
			t.Errorf("%q takes the careful way", line)
		}
		spoilt := []byte(string(line))
		spoilt[rapid.IntRange(0, len(line)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		checkQuick(t, spoilt, "text")
	})
}

func FuzzQuickText(f *testing.F) {
	for _, line := range lines {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) { checkQuick(t, line, "text") })
}

func BenchmarkText(b *testing.B) {
	line, err := json.Marshal(map[string]any{"id": 123456, "meta": map[string]any{"source": "web", "score": []float64{0.5, 1}}, "text": strings.Repeat("Some \"text\" with a line\nand more of it. ", 100)})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("quick", func(b *testing.B) {
		var scratch []byte
		b.SetBytes(int64(len(line)))
		for b.Loop() {
			_, scratch, _ = quickText(line, "text", scratch)
		}
	})
	b.Run("careful", func(b *testing.B) {
		b.SetBytes(int64(len(line)))
		for b.Loop() {
			textOf(line, "text")
		}
	})
}
