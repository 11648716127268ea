package language

import (
	"errors"
	"fmt"
	"strings"
)

// plural is a compiled expression of gettext's Plural-Forms: which form goes with n. Its arithmetic is C's, on whole numbers; a truth is 1 or 0.
type plural func(n uint64) uint64

var errPlural = errors.New("it is no expression as gettext has them")

const maxPlural = 1000 // bytes of an expression; Arabic's has 90

// compilePlural reads an expression of n, whole numbers, brackets, and the operators ?: || && == != < <= > >= + - * / % !.
func compilePlural(text string) (plural, error) {
	if len(text) > maxPlural {
		return nil, errPlural
	}
	p := &pluralReader{rest: text}
	out, err := p.choice()
	if err != nil {
		return nil, err
	}
	if p.skip(); p.rest != "" {
		return nil, fmt.Errorf("%w: %.20q is left over", errPlural, p.rest)
	}
	return out, nil
}

// pluralReader reads an expression from left to right.
type pluralReader struct {
	rest  string
	depth int
}

func (p *pluralReader) skip() { p.rest = strings.TrimLeft(p.rest, " \t") }

// take takes the first of some signs that comes next.
func (p *pluralReader) take(signs ...string) string {
	p.skip()
	for _, s := range signs {
		if strings.HasPrefix(p.rest, s) {
			p.rest = p.rest[len(s):]
			return s
		}
	}
	return ""
}

// choice is a ? b : c, or what binds closer.
func (p *pluralReader) choice() (plural, error) {
	if p.depth++; p.depth > 100 {
		return nil, errPlural
	}
	defer func() { p.depth-- }()
	test, err := p.operators(0)
	if err != nil || p.take("?") == "" {
		return test, err
	}
	yes, err := p.choice()
	if err != nil {
		return nil, err
	}
	if p.take(":") == "" {
		return nil, fmt.Errorf("%w: a ? has no :", errPlural)
	}
	no, err := p.choice()
	return func(n uint64) uint64 {
		if test(n) != 0 {
			return yes(n)
		}
		return no(n)
	}, err
}

// operators reads those of a level and of all that bind closer; those of one level go from left to right.
func (p *pluralReader) operators(level int) (plural, error) {
	levels := [][]string{{"||"}, {"&&"}, {"==", "!="}, {"<=", ">=", "<", ">"}, {"+", "-"}, {"*", "/", "%"}}
	if level == len(levels) {
		return p.value()
	}
	left, err := p.operators(level + 1)
	for err == nil {
		sign := p.take(levels[level]...)
		if sign == "" {
			return left, nil
		}
		a := left
		var b plural
		if b, err = p.operators(level + 1); err == nil {
			left = func(n uint64) uint64 { return operate(sign, a(n), b(n)) }
		}
	}
	return nil, err
}

// value is a number, n, brackets, or one of these with a ! before it.
func (p *pluralReader) value() (plural, error) {
	not := false
	for p.take("!") != "" {
		not = !not
	}
	out, err := p.plainValue()
	if err != nil || !not {
		return out, err
	}
	return func(n uint64) uint64 { return truth(out(n) == 0) }, nil
}

func (p *pluralReader) plainValue() (plural, error) {
	switch {
	case p.take("n") != "":
		return func(n uint64) uint64 { return n }, nil
	case p.take("(") != "":
		out, err := p.choice()
		if err == nil && p.take(")") == "" {
			err = fmt.Errorf("%w: a ( has no )", errPlural)
		}
		return out, err
	}
	digits := len(p.rest) - len(strings.TrimLeft(p.rest, "0123456789"))
	if digits == 0 || digits > 9 {
		return nil, fmt.Errorf("%w: a number or n is missing at %.20q", errPlural, p.rest)
	}
	v := uint64(0)
	for _, d := range p.rest[:digits] {
		v = 10*v + uint64(d-'0')
	}
	p.rest = p.rest[digits:]
	return func(uint64) uint64 { return v }, nil
}

func truth(yes bool) uint64 {
	if yes {
		return 1
	}
	return 0
}

// operate computes; what is divided by 0 is 0.
func operate(sign string, a, b uint64) uint64 {
	switch sign {
	case "||":
		return truth(a != 0 || b != 0)
	case "&&":
		return truth(a != 0 && b != 0)
	case "==":
		return truth(a == b)
	case "!=":
		return truth(a != b)
	case "<":
		return truth(a < b)
	case "<=":
		return truth(a <= b)
	case ">":
		return truth(a > b)
	case ">=":
		return truth(a >= b)
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	}
	if b == 0 {
		return 0
	}
	if sign == "/" {
		return a / b
	}
	return a % b
}
