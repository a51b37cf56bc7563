package corpus

import (
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Form says how files are to be read where they do not say it themselves: which
// table the type code of an index is from, and how a flat file stores tokens.
// The zero Form is Auto.
type Form uint8

const (
	// Auto takes the table under which an index agrees with the size of its
	// tokens, Megatron's if both do, and refuses flat files.
	Auto Form = iota
	// Megatron is the table of Megatron-LM.
	Megatron
	// DeepSpeed is the table of DeepSpeed since 0.13.3, with the two codes that
	// only its older versions have.
	DeepSpeed
)

// Flat is the form in which every token is stored as d. An index or a .npy that
// says otherwise does not belong to the corpus.
func Flat(d DType) Form { return DeepSpeed + Form(d) }

// flat returns the type of a flat form, and 0 for the others.
func (f Form) flat() DType {
	if f <= DeepSpeed {
		return 0
	}
	return DType(f - DeepSpeed)
}

// ParseForm reads what String writes: "auto", "megatron", "deepspeed" or the
// name of a type, such as "uint16". Anything else is an error of kind
// fault.Invalid that lists them.
func ParseForm(name string) (Form, error) {
	var known []string
	for f := Auto; f.valid(); f++ {
		if f.String() == name {
			return f, nil
		}
		known = append(known, f.String())
	}
	return Auto, fault.Invalidf("%q is no way to store tokens; known are %s", name, strings.Join(known, ", "))
}

func (f Form) valid() bool { return f <= DeepSpeed || f.flat().valid() }

// String returns the name that ParseForm takes.
func (f Form) String() string {
	switch f {
	case Auto:
		return "auto"
	case Megatron:
		return "megatron"
	case DeepSpeed:
		return "deepspeed"
	default:
		return f.flat().String()
	}
}

// The codes of an index' types, under either table; where a code has several
// types, the size of the tokens' file decides, and the first wins a tie. Code 7
// of Megatron's table is float32, which is as large as uint32: no corpus of
// tokens has it, so Auto takes it for uint32.
var codes = [...]struct{ auto, megatron, deepSpeed []DType }{
	1:  {[]DType{Uint8}, []DType{Uint8}, []DType{Uint8}},
	2:  {[]DType{Int8}, []DType{Int8}, []DType{Int8}},
	3:  {[]DType{Int16}, []DType{Int16}, []DType{Int16}},
	4:  {[]DType{Int32}, []DType{Int32}, []DType{Int32}},
	5:  {[]DType{Int64}, []DType{Int64}, []DType{Int64}},
	6:  {[]DType{Uint16}, nil, []DType{Uint16}},
	7:  {[]DType{Uint32}, nil, []DType{Uint32}},
	8:  {[]DType{Uint16, Uint64}, []DType{Uint16}, []DType{Uint64}},
	9:  {[]DType{Uint32}, nil, []DType{Uint32}},
	10: {[]DType{Uint64}, nil, []DType{Uint64}},
}

// types returns what a code may stand for under a form, at least one type. An
// error says what code of which file that is.
func (f Form) types(code byte, idxName string) ([]DType, error) {
	if code == 0 || int(code) >= len(codes) {
		return nil, fault.Corruptf("%s: unknown type code %d at byte 17", idxName, code)
	}
	k := codes[code]
	switch {
	case f == Auto:
		return k.auto, nil
	case f == DeepSpeed:
		return k.deepSpeed, nil
	case f == Megatron && k.megatron != nil:
		return k.megatron, nil
	case f == Megatron && code <= 7:
		return nil, fault.Mismatchf("%s: type code %d, at byte 17, is of floats in Megatron's table, and a corpus holds tokens, which are integers; if DeepSpeed wrote it, read it as deepspeed", idxName, code)
	case f == Megatron:
		return nil, fault.Mismatchf("%s: type code %d, at byte 17, is not in Megatron's table; read it as deepspeed", idxName, code)
	}
	for _, d := range k.auto {
		if d == f.flat() {
			return []DType{d}, nil
		}
	}
	return nil, fault.Mismatchf("%s: type code %d, at byte 17, stands for %s, and tokens are to be read as %s; leave that to the files, or name the right ones", idxName, code, k.auto[0], f)
}
