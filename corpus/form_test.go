package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

func TestForms(t *testing.T) {
	want := []string{"auto", "megatron", "deepspeed", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"}
	for i, name := range want {
		f, err := ParseForm(name)
		if err != nil || f != Form(i) || f.String() != name {
			t.Errorf("%s is form %d (%s), %v", name, f, f, err)
		}
	}
	if f, _ := ParseForm("uint16"); f != Flat(Uint16) {
		t.Errorf("uint16 is %s", f)
	}
	for _, name := range []string{"", "Auto", "float32", "uint16 ", "DType(0)"} {
		if _, err := ParseForm(name); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), strings.Join(want, ", ")) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, f := range []Form{Flat(Uint64) + 1, Flat(0) - 10} {
		if _, err := OpenAs(f, "c"); !errors.Is(err, fault.Invalid) {
			t.Errorf("form %d: %v", f, err)
		}
	}
}

// Each code under each form, for files whose size fits one type, another, or,
// without tokens, any.
func TestForcedTables(t *testing.T) {
	type result struct{ auto, megatron, deepspeed string } // type, or what the error says
	for _, k := range []struct {
		code  byte
		size  int64 // of the .bin, a token
		three result
		none  result // without tokens
	}{
		{1, 1, result{"uint8", "uint8", "uint8"}, result{"uint8", "uint8", "uint8"}},
		{4, 4, result{"int32", "int32", "int32"}, result{"int32", "int32", "int32"}},
		{5, 8, result{"int64", "int64", "int64"}, result{"int64", "int64", "int64"}},
		{6, 2, result{"uint16", "code 6, at byte 17, is of floats in Megatron's table", "uint16"}, result{"uint16", "of floats", "uint16"}},
		{6, 8, result{"holds float64", "of floats", "3 tokens of type uint16"}, result{"uint16", "of floats", "uint16"}},
		{7, 4, result{"uint32", "of floats", "uint32"}, result{"uint32", "of floats", "uint32"}},
		{8, 2, result{"uint16", "uint16", "as uint16 they fit, so do not read it as deepspeed"}, result{"uint16", "uint16", "uint64"}},
		{8, 8, result{"uint64", "would take 6 as uint16; as uint64 they fit, so do not read it as megatron", "uint64"}, result{"uint16", "uint16", "uint64"}},
		{9, 4, result{"uint32", "not in Megatron's table", "uint32"}, result{"uint32", "not in Megatron's table", "uint32"}},
		{10, 8, result{"uint64", "not in Megatron's table", "uint64"}, result{"uint64", "not in Megatron's table", "uint64"}},
		{11, 8, result{"unknown type code 11", "unknown type code 11", "unknown type code 11"}, result{"unknown", "unknown", "unknown"}},
	} {
		for tokens, want := range map[int32]result{3: k.three, 0: k.none} {
			t.Chdir(t.TempDir())
			bin := make([]byte, k.size*int64(tokens))
			put(t, "c", bin, indexBytes(k.code, []int32{tokens}, k.size, []int64{0, 1}), nil)
			for form, want := range map[Form]string{Auto: want.auto, Megatron: want.megatron, DeepSpeed: want.deepspeed} {
				what := fmt.Sprintf("code %d, %d tokens of %d bytes, %s", k.code, tokens, k.size, form)
				c, err := OpenAs(form, "c")
				if err != nil {
					if !strings.Contains(err.Error(), want) || !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Mismatch) {
						t.Errorf("%s: %v, want %s", what, err, want)
					}
					continue
				}
				if c.DType().String() != want || c.Tokens() != int64(tokens) || c.Form() != form {
					t.Errorf("%s: %d tokens of %s, want %s", what, c.Tokens(), c.DType(), want)
				}
				c.Close()
			}
		}
	}
}

// A type holds for every part: it settles a code of two types, and what says
// another does not belong.
func TestTypeOfAllParts(t *testing.T) {
	t.Chdir(t.TempDir())
	put(t, "eight", []byte{}, indexBytes(8, []int32{0}, 8, []int64{0, 1}), nil)
	put(t, "ints", le([]int32{1}), indexBytes(4, []int32{1}, 4, []int64{0, 1}), nil)
	os.WriteFile("array.npy", npyBytes(Int64, le(int64(1)), 1), 0o666)
	os.WriteFile("train.bin", le([]uint16{7, 0, 8, 0}), 0o666)
	os.WriteFile("train.u16", le([]uint16{7, 0, 8, 0}), 0o666)
	os.WriteFile("olmo.npy", le([]uint16{7, 0, 8, 0}), 0o666)
	for _, k := range []struct{ name, form, want string }{
		{"eight", "uint16", "uint16 []"},
		{"eight", "uint64", "uint64 []"},
		{"eight", "int32", "stands for uint16, and tokens are to be read as int32"},
		{"ints", "int32", "int32 [1]"},
		{"ints", "uint16", "stands for int32"},
		{"array.npy", "auto", "int64 [1]"},
		{"array.npy", "deepspeed", "int64 [1]"},
		{"array.npy", "int64", "int64 [1]"},
		{"array.npy", "uint16", "array.npy: holds tokens of type int64, and they are to be read as uint16"},
		{"train.bin", "uint16", "uint16 [7 0 8 0]"},
		{"train", "uint16", "uint16 [7 0 8 0]"},
		{"train.bin", "uint32", "uint32 [7 8]"},
		{"train.bin", "uint8", "uint8 [7 0 0 0 8 0 0 0]"},
		{"train.bin", "int64", "train.bin: the int64 at token 0 (byte 0, bytes 07 00 00 00 08 00 00 00) is outside"},
		{"train.bin", "auto", "train.bin has no .idx beside it"},
		{"train", "megatron", "such as uint16"},
		{"train.u16", "uint16", "uint16 [7 0 8 0]"},
		{"train.u16", "auto", "no corpus at train.u16"},
		{"olmo.npy", "uint16", "uint16 [7 0 8 0]"},
		{"olmo.npy", "auto", "not a .npy file; if it is tokens and nothing else, as OLMo's are"},
		{"train.* olmo.npy", "uint16", "uint16 [7 0 8 0 7 0 8 0]"}, // not train.u16
	} {
		form, err := ParseForm(k.form)
		if err != nil {
			t.Fatal(err)
		}
		c, err := OpenAs(form, strings.Fields(k.name)...)
		got := fmt.Sprint(err)
		if err == nil {
			tokens := make([]int32, c.Tokens())
			if err = c.Read(tokens, 0); err == nil {
				got = fmt.Sprint(c.DType(), " ", tokens)
			} else {
				got = err.Error()
			}
			c.Close()
		}
		if err != nil && !slices.ContainsFunc([]error{fault.Corrupt, fault.Mismatch, fault.Invalid, fs.ErrNotExist}, func(kind error) bool { return errors.Is(err, kind) }) {
			t.Errorf("%s as %s: of no kind: %v", k.name, k.form, err)
		}
		if !strings.Contains(got, k.want) {
			t.Errorf("%s as %s: %s, want %s", k.name, k.form, got, k.want)
		}
	}
}

func TestFilesWithoutIndex(t *testing.T) {
	dict := func(dict, data string) []byte {
		return le([]byte("\x93NUMPY\x01\x00"), uint16(len(dict)), []byte(dict), []byte(data))
	}
	two := le([]uint16{1, 2})
	for _, k := range []struct {
		name    string
		content []byte
		kind    error // nil: it opens
		says    string
	}{
		{"c.bin", []byte{}, nil, "1 documents, 0 tokens"},
		{"c.bin", two, nil, "1 documents, 2 tokens"},
		{"c.bin", two[:3], fault.Corrupt, "c.bin: 3 bytes are no whole number of tokens of type uint16"},
		{"c.npy", npyBytes(Uint16, two, 2), nil, "1 documents, 2 tokens"},
		{"c.npy", npyBytes(Uint16, nil, 0), nil, "1 documents, 0 tokens"},
		{"c.npy", npyBytes(Uint16, two, 2, 1), nil, "2 documents, 2 tokens"},
		{"c.npy", npyBytes(Uint16, two, 1, 2), nil, "1 documents, 2 tokens"},
		{"c.npy", npyBytes(Uint16, nil, 0, 7), nil, "0 documents, 0 tokens"},
		{"c.npy", npyBytes(Uint16, nil, 7, 0), fault.Invalid, "7 rows without tokens"},
		{"c.npy", npyBytes(Uint16, nil, 1<<62, 0), fault.Invalid, "rows without tokens"},
		{"c.npy", npyBytes(Uint16, two, 2, 1, 1), fault.Invalid, "an array of 3 dimensions"},
		{"c.npy", npyBytes(Uint16, two[:2]), fault.Invalid, "an array of 0 dimensions"},
		{"c.npy", npyBytes(Uint16, two[:3], 2), fault.Corrupt, "2 elements of 2 bytes promised, but 3 bytes follow"},
		{"c.npy", npyBytes(Uint16, two, 1<<62, 1<<62), fault.Corrupt, "promised"},
		{"c.npy", npyBytes(Uint16, two, 1<<32, 1<<32), fault.Corrupt, "promised"},
		{"c.npy", dict("{'descr': '<u2', 'fortran_order': True, 'shape': (2, 2), }", "12345678"), fault.Invalid, "np.ascontiguousarray"},
		{"c.npy", dict("{'descr': '<u2', 'fortran_order': True, 'shape': (1, 2), }", "1234"), nil, "1 documents, 2 tokens"},
		{"c.npy", dict("{'descr': '>u2', 'fortran_order': False, 'shape': (2,), }", "1234"), fault.Invalid, "little-endian"},
		{"c.npy", dict("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "1234"), fault.Mismatch, "which are integers"},
		{"c.npy", []byte("PK\x03\x04 not a .npy at all"), fault.Corrupt, "not a .npy file"},
		{"c.npy", []byte{}, fault.Corrupt, "not a .npy file"},
	} {
		t.Chdir(t.TempDir())
		os.WriteFile(k.name, k.content, 0o666)
		form := Auto
		if k.name == "c.bin" {
			form = Flat(Uint16)
		}
		c, err := OpenAs(form, k.name)
		switch {
		case k.kind != nil && (!errors.Is(err, k.kind) || !strings.Contains(err.Error(), k.says) || !strings.Contains(err.Error(), k.name)):
			t.Errorf("%s: %v, want %v and %q", k.name, err, k.kind, k.says)
		case k.kind == nil && err != nil:
			t.Errorf("%s, %s: %v", k.name, k.says, err)
		case err == nil:
			if got := fmt.Sprintf("%d documents, %d tokens", c.Documents(), c.Tokens()); got != k.says {
				t.Errorf("%s: %s, want %s", k.name, got, k.says)
			}
			c.Close()
		}
	}
	if Exists("c.bin") || !Exists("c.npy") || Exists("form_test.go") {
		t.Error("what exists is said not to, or the other way")
	}
}
