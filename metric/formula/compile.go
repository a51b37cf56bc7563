package formula

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// The library reads the text; what it read becomes Go functions here, and not
// a program for its machine. That machine boxes each number (length * 1e6 +
// rarity takes 20 times as long, and 4 allocations), computes whole numbers
// with wrap-around and knows % for those only. The tests hold the functions
// against it.

// number is a compiled part that is a number, given the inputs' values.
type number func(inputs []float64) float64

// truth is a compiled part that is true or false.
type truth func(inputs []float64) bool

// part is a compiled part: one of the two.
type part struct {
	number number
	whole  bool // the number is whole if the inputs are finite
	truth  truth
}

// compiler makes a part of each node and keeps the first error.
type compiler struct {
	text   string
	source file.Source
	find   func(name string) (metric.Metric, error)
	names  []string
	inputs []metric.Metric
	err    error
}

// nothing stands for a part that is wrong.
func nothing([]float64) float64 { return 0 }

// fail shows the place in the text.
func (c *compiler) fail(at ast.Node, format string, args ...any) part {
	if c.err == nil {
		e := file.Error{Location: at.Location(), Message: fmt.Sprintf(format, args...)}
		c.err = fault.Invalidf("%w", e.Bind(c.source))
	}
	return part{number: nothing}
}

func (c *compiler) part(node ast.Node) part {
	switch n := node.(type) {
	case *ast.IntegerNode:
		v := float64(n.Value)
		return part{number: func([]float64) float64 { return v }, whole: true}
	case *ast.FloatNode:
		v := n.Value
		return part{number: func([]float64) float64 { return v }}
	case *ast.BoolNode:
		v := n.Value
		return part{truth: func([]float64) bool { return v }}
	case *ast.IdentifierNode:
		return c.input(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ConditionalNode:
		return c.choice(n)
	case *ast.CallNode:
		return c.call(n)
	default:
		return c.fail(node, "this is not of a formula's language, which has numbers, arithmetic, comparisons, ?: and functions of numbers")
	}
}

// number compiles a node that must be a number.
func (c *compiler) number(node ast.Node) (of number, whole bool) {
	p := c.part(node)
	if p.truth != nil {
		p = c.fail(node, "a number is needed here, and this is true or false")
	}
	return p.number, p.whole
}

// truth compiles a node that must be true or false.
func (c *compiler) truth(node ast.Node) truth {
	p := c.part(node)
	if p.truth == nil {
		c.fail(node, "a comparison is needed here, and this is a number")
	}
	return p.truth
}

func (c *compiler) input(n *ast.IdentifierNode) part {
	i := slices.Index(c.names, n.Value)
	if i < 0 {
		if c.err != nil {
			return part{number: nothing} // making a metric may take long
		}
		m, err := c.find(n.Value)
		if err != nil {
			c.err = fmt.Errorf("%w%s", err, hyphenHint(c.text, n.Value))
			return part{number: nothing}
		}
		i = len(c.names)
		c.names, c.inputs = append(c.names, n.Value), append(c.inputs, m)
	}
	return part{number: func(x []float64) float64 { return x[i] }, whole: c.inputs[i].Info().Kind == metric.Whole}
}

// hyphenHint tells a hyphen from a minus sign.
func hyphenHint(text, name string) string {
	if strings.Contains(text, name+"-") || strings.Contains(text, "-"+name) {
		return "; in a formula the hyphen of a name is written as an underscore"
	}
	return ""
}

func (c *compiler) unary(n *ast.UnaryNode) part {
	if n.Operator == "!" || n.Operator == "not" {
		a := c.truth(n.Node)
		return part{truth: func(x []float64) bool { return !a(x) }}
	}
	a, whole := c.number(n.Node)
	if n.Operator == "-" {
		return part{number: func(x []float64) float64 { return -a(x) }, whole: whole}
	}
	return part{number: a, whole: whole}
}

func (c *compiler) binary(n *ast.BinaryNode) part {
	switch n.Operator {
	case "&&", "and":
		a, b := c.truth(n.Left), c.truth(n.Right)
		return part{truth: func(x []float64) bool { return a(x) && b(x) }}
	case "||", "or":
		a, b := c.truth(n.Left), c.truth(n.Right)
		return part{truth: func(x []float64) bool { return a(x) || b(x) }}
	case "==", "!=":
		a, b := c.part(n.Left), c.part(n.Right)
		switch {
		case (a.truth == nil) != (b.truth == nil):
			return c.fail(n, "a number is compared with true or false")
		case a.truth == nil:
			return join(n.Operator, a.number, b.number)
		}
		equal := n.Operator == "=="
		return part{truth: func(x []float64) bool { return (a.truth(x) == b.truth(x)) == equal }}
	case "+", "-", "*", "/", "%", "**", "^", "<", "<=", ">", ">=":
		a, wholeA := c.number(n.Left)
		b, wholeB := c.number(n.Right)
		p := join(n.Operator, a, b)
		p.whole = p.whole && wholeA && wholeB
		return p
	default:
		return c.fail(n, "the operator %s is not of a formula's language", n.Operator)
	}
}

// join makes one part of two numbers; whole says that it is if both are.
func join(operator string, a, b number) part {
	switch operator {
	case "+":
		return part{number: func(x []float64) float64 { return a(x) + b(x) }, whole: true}
	case "-":
		return part{number: func(x []float64) float64 { return a(x) - b(x) }, whole: true}
	case "*":
		return part{number: func(x []float64) float64 { return a(x) * b(x) }, whole: true}
	case "/":
		return part{number: func(x []float64) float64 { return a(x) / b(x) }}
	case "%":
		return part{number: func(x []float64) float64 { return math.Mod(a(x), b(x)) }, whole: true}
	case "<":
		return part{truth: func(x []float64) bool { return a(x) < b(x) }}
	case "<=":
		return part{truth: func(x []float64) bool { return a(x) <= b(x) }}
	case ">":
		return part{truth: func(x []float64) bool { return a(x) > b(x) }}
	case ">=":
		return part{truth: func(x []float64) bool { return a(x) >= b(x) }}
	case "==":
		return part{truth: func(x []float64) bool { return a(x) == b(x) }}
	case "!=":
		return part{truth: func(x []float64) bool { return a(x) != b(x) }}
	default: // ** and ^
		return part{number: func(x []float64) float64 { return math.Pow(a(x), b(x)) }}
	}
}

func (c *compiler) choice(n *ast.ConditionalNode) part {
	when := c.truth(n.Cond)
	a, b := c.part(n.Exp1), c.part(n.Exp2)
	if (a.truth == nil) != (b.truth == nil) {
		return c.fail(n, "one side of the choice is a number, the other true or false")
	}
	if a.truth != nil {
		return part{truth: func(x []float64) bool {
			if when(x) {
				return a.truth(x)
			}
			return b.truth(x)
		}}
	}
	return part{whole: a.whole && b.whole, number: func(x []float64) float64 {
		if when(x) {
			return a.number(x)
		}
		return b.number(x)
	}}
}

func (c *compiler) call(n *ast.CallNode) part {
	name, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return c.fail(n, "this cannot be called")
	}
	f, known, ok := findFunction(name.Value)
	if !ok {
		return c.fail(n, "unknown function %s (known: %s)", name.Value, strings.Join(known, ", "))
	}
	args, wholes := make([]number, len(n.Arguments)), f.keeps
	for i, a := range n.Arguments {
		var whole bool
		args[i], whole = c.number(a)
		wholes = wholes && whole
	}
	p := part{whole: wholes || f.integral}
	switch {
	case f.one != nil && len(args) == 1:
		a := args[0]
		p.number = func(x []float64) float64 { return f.one(a(x)) }
	case f.two != nil && (len(args) == 2 || f.many && len(args) > 0):
		p.number = args[0]
		for _, b := range args[1:] {
			a := p.number
			p.number = func(x []float64) float64 { return f.two(a(x), b(x)) }
		}
	default:
		return c.fail(n, "%s does not take %d arguments", f.name, len(args))
	}
	return p
}
