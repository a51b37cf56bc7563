package recipe

import (
	"math"
	"slices"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
)

// Routing is which tokens the middle layers see.
type Routing struct {
	Policy string    `yaml:"policy,omitempty" json:"policy" values:"{policies}" help:"how kept positions are chosen; random-ltd if not given, none: no layer drops any"`
	Layers Layers    `yaml:"layers,omitempty" json:"layers" help:"inner: all but the first and the last; every 2: every second of those; or layers and ranges of them, such as 1-4 or [1-3, 6]"`
	Keep   *Pace     `yaml:"keep,omitempty" json:"keep,omitempty" help:"tokens of a row that the routed layers see"`
	Drop   []float64 `yaml:"drop,omitempty" json:"drop,omitempty" help:"a number for each routed layer: how many times as many tokens it drops as keep leaves out; 1 if not given"`
	Always Always    `yaml:"always,omitempty" json:"always,omitzero" help:"what every layer sees: first (of each document, or an image's class token), special, masked, ids of tokens; first for images if not given, special with token-bypass"`
}

// noPolicy is the routing in which no layer drops a token.
const noPolicy = "none"

// routes reports whether any layer drops tokens.
func (r *Recipe) routes() bool { return r.Routing != nil && r.Routing.Policy != noPolicy }

// policy returns the policy of a recipe that routes.
func (r *Recipe) policy() route.Policy {
	p, _ := route.Lookup(r.Routing.Policy) // settled
	return p
}

// images reports whether the model sees images instead of tokens.
func (r *Recipe) images() bool { return r.Model.Kind == model.ViT }

// fillRouting sets what routing leaves open.
func (r *Recipe) fillRouting() {
	if r.Routing == nil {
		return
	}
	set(&r.Routing.Policy, "random-ltd")
	a := &r.Routing.Always
	byDefault := Always{First: r.images(), Special: r.Routing.Policy == "token-bypass" && !r.images()}
	switch none := !byDefault.First && !byDefault.Special; {
	case !a.given:
		a.First, a.Special = byDefault.First, byDefault.Special
	case none: // so an empty list says nothing
		a.given = false
	}
	if a.First || a.Special || a.Masked || a.Tokens != nil {
		a.given = false
	}
}

// validateRouting checks what needs no model that can be built.
func (r *Recipe) validateRouting() error {
	if !r.routes() {
		return nil
	}
	if r.Routing.Keep == nil {
		return r.errorf("routing", "it does not say how many tokens to keep; give keep: a pace, or a number of tokens")
	}
	if err := r.validateDrop(); err != nil {
		return err
	}
	if err := r.validateAlways(); err != nil {
		return err
	}
	return r.withinWindow("routing.keep", r.Routing.Keep)
}

func (r *Recipe) validateDrop() error {
	drop := r.Routing.Drop
	if drop == nil || r.Model.Layers < 1 || r.Model.Layers > model.MaxLayers { // which validateModel reports
		return nil
	}
	routed := r.Routing.Layers.of(r.Model.Layers)
	if len(drop) != len(routed) {
		return r.errorf("routing.drop", "it has %d numbers for %d routed layers, %v; give one for each", len(drop), len(routed), routed)
	}
	shares := route.Shares(r.policy())
	for i, x := range drop {
		if !(x >= 0) || math.IsInf(x, 1) {
			return r.errorf("routing.drop", "layer %d drops %v times as many tokens; give a number from 0 on", routed[i], x)
		}
		if shares && i > 0 && routed[i] == routed[i-1]+1 && x != drop[i-1] {
			return r.errorf("routing.drop", "by %s layers %d and %d keep the same tokens, and here they drop %v and %v times as many; give both the same number, "+
				"or leave a layer between them out", r.Routing.Policy, routed[i-1], routed[i], drop[i-1], x)
		}
	}
	if !slices.ContainsFunc(drop, func(x float64) bool { return x > 0 }) {
		return r.errorf("routing.drop", "no layer drops a token; write 'policy: none', or leave routing out")
	}
	return nil
}

func (r *Recipe) validateAlways() error {
	a := r.Routing.Always
	_, bypass := r.policy().(route.TokenBypass)
	_, learns := r.policy().(route.Learner)
	switch {
	case r.images() && (a.Special || a.Masked || a.Tokens != nil):
		return r.errorf("routing.always", "images have no tokens; of them only 'first' can be kept, the class token")
	case a.Masked && r.Masking == nil:
		return r.errorf("routing.always", "the recipe masks nothing: a model of kind %s predicts everywhere; leave 'masked' out", r.Model.Kind)
	case r.images() && bypass:
		return r.errorf("routing.policy", "token-bypass goes by the tokens of a vocabulary, and images have none; write random-ltd or shared")
	case learns && r.External():
		return r.errorf("routing.policy", "%s learns from the losses of the run, which a trainer of your own does not tell; write random-ltd or shared", r.Routing.Policy)
	}
	return nil
}

// validateRouted holds the law that the first and the last layer see every
// token, for a model that can be built.
func (r *Recipe) validateRouted() error {
	routed, last := r.ModelConfig(1).Routed, r.Model.Layers-1
	switch {
	case !r.routes():
		return nil
	case len(routed) == 0:
		return r.errorf("routing.layers", "no layer of the model's %d is routed (the first and the last see every token); "+
			"give it more layers, or leave routing out", r.Model.Layers)
	case routed[0] == 0 || routed[len(routed)-1] == last:
		return r.errorf("routing.layers", "it names layers %v, and the first and the last see every token; name some of 1 to %d", routed, last-1)
	}
	return nil
}

// Learns reports whether the positions that layers keep depend on the losses of
// the run, so that nothing but a run can tell them.
func (r *Recipe) Learns() bool {
	if !r.routes() {
		return false
	}
	_, learns := r.policy().(route.Learner)
	return learns
}

// routing says which tokens the routed layers see.
func (b *Bound) routing() batch.Routing {
	r := b.Recipe
	if !r.routes() {
		return batch.Routing{}
	}
	a := r.Routing.Always
	return batch.Routing{
		Policy: r.policy(), Layers: b.Model.Routed, Drop: r.Routing.Drop, Seed: r.Seed,
		Always: batch.Always{First: a.First, Masked: a.Masked, Tokens: b.alwaysTokens()},
	}
}

// alwaysTokens returns the tokens that every layer sees, ascending.
func (b *Bound) alwaysTokens() []int32 {
	a := b.Recipe.Routing.Always
	tokens := slices.Clone(a.Tokens)
	if a.Special {
		tokens = append(tokens, b.special()...)
	}
	slices.Sort(tokens)
	return slices.Compact(tokens)
}

// special returns the special tokens: those of the corpora, and of the masking all
// but the one that masks.
func (b *Bound) special() []int32 {
	tokens := b.endOfDocument()
	if m := b.masking; m != nil {
		tokens = append(tokens, m.Special...)
		if m.Separator >= 0 {
			tokens = append(tokens, m.Separator)
		}
	}
	slices.Sort(tokens)
	return slices.Compact(tokens)
}

// endOfDocument returns the tokens of the corpora that end a document.
func (b *Bound) endOfDocument() []int32 {
	var tokens []int32
	for i := range b.Sources {
		if end := int32(b.Sources[i].Corpus.Meta().EndOfDocument); end >= 0 && !slices.Contains(tokens, end) {
			tokens = append(tokens, end)
		}
	}
	return tokens
}

// checkAlways looks at the tokens that every layer sees, once corpora and model
// are known.
func (b *Bound) checkAlways() error {
	r := b.Recipe
	if !r.routes() || b.Sources == nil {
		return nil
	}
	if r.Routing.Always.Special && len(b.special()) == 0 {
		b.warn("routing.always", "the corpus has no special tokens, so 'special' keeps none; name ids of tokens instead")
	}
	for _, token := range r.Routing.Always.Tokens {
		if n := b.Model.Vocabulary; !r.External() && int(token) >= n {
			return r.errorf("routing.always", "there is no token %d in a vocabulary of %d", token, n)
		}
	}
	return nil
}
