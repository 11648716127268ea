package language

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

const unbroken = "\u00a0" // a space at which no line ends

// numerals is how a language writes 1234.5.
type numerals struct{ sample string }

// signs are the digit nought and the two separators; group may be "".
func (s numerals) signs() (zero rune, group, point string, ok bool) {
	var parts []string
	var digits []rune
	between := ""
	for _, r := range s.sample {
		if unicode.IsDigit(r) {
			parts, digits, between = append(parts, between), append(digits, r), ""
			continue
		}
		between += string(r)
	}
	if len(digits) != 5 || between != "" || parts[0] != "" || parts[2]+parts[3] != "" || parts[4] == "" {
		return 0, "", "", false
	}
	zero = digits[0] - 1
	for i, d := range digits {
		if d != zero+rune(i)+1 {
			return 0, "", "", false
		}
	}
	return zero, parts[1], parts[4], true
}

func (s numerals) check() error {
	if _, _, _, ok := s.signs(); !ok {
		return fmt.Errorf("%q is no way to write \"1,234.5\"; write these five digits with the signs that the language puts between", s.sample)
	}
	return nil
}

// Number is a count: 1,234.
func (t *Text) Number(n int64) string { return t.digits(strconv.FormatInt(n, 10)) }

// Decimal is a number rounded to the nearest with so many decimals.
func (t *Text) Decimal(v float64, decimals int) string {
	return t.digits(strconv.FormatFloat(v, 'f', decimals, 64))
}

// digits writes what strconv has made in the language's signs.
func (t *Text) digits(plain string) string {
	zero, group, point, ok := t.numbers.signs()
	if !ok {
		return plain
	}
	whole, rest, dot := strings.Cut(plain, ".")
	var b strings.Builder
	for i, r := range whole {
		if r == '-' {
			b.WriteRune('−')
			continue
		}
		if left := len(whole) - i; left%3 == 0 && i > 0 && whole[i-1] != '-' {
			b.WriteString(group)
		}
		b.WriteRune(zero + r - '0')
	}
	if dot {
		b.WriteString(point)
		for _, r := range rest {
			b.WriteRune(zero + r - '0')
		}
	}
	return b.String()
}

// Round is to which side a figure is rounded that is not written out in full.
type Round int

// The sides. A figure that somebody is held to is rounded to the side that makes it look worse.
const (
	Nearest Round = iota
	Down
	Up
)

// Rounded is v with so many decimals. v itself is taken with six decimals, as a report has it: 0.29 is not 0.28999….
func Rounded(v float64, decimals int, side Round) float64 {
	scale := math.Pow10(decimals)
	n := math.Round(v*scale*1e4) / 1e4
	switch side {
	case Down:
		n = math.Floor(n)
	case Up:
		n = math.Ceil(n)
	default:
		n = math.Round(n)
	}
	return n/scale + 0 // never -0
}

// Percent is a fraction as per cent with two decimals: 0.97319 is 97.31 %, rounded down.
func (t *Text) Percent(fraction float64, side Round) string {
	return t.percent(Rounded(100*fraction, 2, side), 2)
}

// PercentRange is from one fraction to another, each with two decimals: 97.73–99.49 %. The lower is rounded down, the upper up.
func (t *Text) PercentRange(lower, upper float64) string {
	return t.unit(t.Say("{from}–{to} %", "from", t.Decimal(Rounded(100*lower, 2, Down), 2), "to", t.Decimal(Rounded(100*upper, 2, Up), 2)))
}

// PercentBand is PercentRange of round fractions, with as few decimals as they need: 95–99.9 %.
func (t *Text) PercentBand(from, to float64) string {
	a, b := Rounded(100*from, 2, Nearest), Rounded(100*to, 2, Nearest)
	return t.unit(t.Say("{from}–{to} %", "from", t.Decimal(a, decimalsOf(a, 2)), "to", t.Decimal(b, decimalsOf(b, 2))))
}

// PercentOf is a fraction as per cent with as few decimals as it needs, two at most: 80 %, 99.9 %.
func (t *Text) PercentOf(fraction float64) string {
	v := Rounded(100*fraction, 2, Nearest)
	return t.percent(v, decimalsOf(v, 2))
}

func (t *Text) percent(v float64, decimals int) string {
	return t.unit(t.Say("{n} %", "n", t.Decimal(v, decimals)))
}

// Points is the difference of two percentages, in points: +0.35.
func (t *Text) Points(v float64) string {
	text := t.Decimal(Rounded(v, 2, Nearest), 2)
	if v = Rounded(v, 2, Nearest); v > 0 {
		text = "+" + text
	}
	return t.LTR(text)
}

// decimalsOf is how many decimals v needs, most at most.
func decimalsOf(v float64, most int) int {
	for d := range most {
		if Rounded(v, d, Nearest) == Rounded(v, most, Nearest) {
			return d
		}
	}
	return most
}

// Rate is bit/s in a readable unit with three digits: 4.2 Mbit/s. It is rounded down.
func (t *Text) Rate(bps float64) string { return t.rate(bps, Down) }

// RateUp is Rate of what is asked for: rounded up, so that a rate that misses it never reads as one that meets it.
func (t *Text) RateUp(bps float64) string { return t.rate(bps, Up) }

func (t *Text) rate(bps float64, side Round) string {
	switch {
	case bps >= 1e9:
		return t.unit(t.Say("{n} Gbit/s", "n", t.scaled(bps/1e9, side)))
	case bps >= 1e6:
		return t.unit(t.Say("{n} Mbit/s", "n", t.scaled(bps/1e6, side)))
	}
	return t.unit(t.Say("{n} kbit/s", "n", t.scaled(bps/1e3, side)))
}

// Bytes is a volume in a readable unit of powers of ten with three digits: 1.25 TB.
func (t *Text) Bytes(n int64) string {
	switch v := float64(n); {
	case v >= 1e12:
		return t.unit(t.Say("{n} TB", "n", t.scaled(v/1e12, Nearest)))
	case v >= 1e9:
		return t.unit(t.Say("{n} GB", "n", t.scaled(v/1e9, Nearest)))
	case v >= 1e6:
		return t.unit(t.Say("{n} MB", "n", t.scaled(v/1e6, Nearest)))
	default:
		return t.unit(t.Say("{n} kB", "n", t.scaled(v/1e3, Nearest)))
	}
}

// scaled writes three digits, without noughts at the end of the decimals.
func (t *Text) scaled(v float64, side Round) string {
	most := 2
	switch {
	case v >= 100:
		most = 0
	case v >= 10:
		most = 1
	}
	v = Rounded(v, most, side)
	return t.Decimal(v, decimalsOf(v, most))
}

// Millis is a time in milliseconds, of a round trip: 100 ms.
func (t *Text) Millis(ms float64) string {
	return t.unit(t.Say("{n} ms", "n", t.Decimal(ms, decimalsOf(ms, 1))))
}

// unit keeps a number and its unit together, and from left to right as SI has them.
func (t *Text) unit(text string) string {
	if text = t.tight(text); t.rtl && !strings.ContainsFunc(text, rightToLeft) {
		return t.LTR(text)
	}
	return text
}

// tight keeps a number and its unit on one line.
func (t *Text) tight(text string) string {
	return strings.ReplaceAll(t.joined(text), " ", unbroken)
}

// joined takes away what fill has set its values apart with, of a text that is set apart as a whole where it is used.
func (t *Text) joined(text string) string {
	return strings.NewReplacer("\u2068", "", "\u2069", "", "\u200f", "").Replace(text)
}
