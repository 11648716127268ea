package survey

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

var (
	digits   = regexp.MustCompile(`^[0-9]+$`)
	grouped  = regexp.MustCompile(`^[1-9][0-9]{0,2}(?:[ ',.][0-9]{3})+$`)
	exponent = regexp.MustCompile(`^[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]{1,3}$`)
)

// tidy gives one shape to signs that look alike.
func tidy(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == '\u2212' || r == '\u2013' || r == '\u2010' || r == '\u2011':
			return '-'
		case strings.ContainsRune("\u2018\u2019\u2032\u00b4\u02b9\uff07`", r):
			return '\''
		case strings.ContainsRune("\u201c\u201d\u2033\u02ba\uff02", r):
			return '"'
		case strings.ContainsRune("\u00ba\u02da\u00b0", r):
			return '°'
		}
		return r
	}, text))
}

// excelFault tells values by which a spreadsheet says that its formula failed.
func excelFault(text string) bool {
	return strings.HasPrefix(text, "#") && (strings.HasSuffix(text, "!") || strings.HasSuffix(text, "?") || text == "#N/A")
}

// groups reads a number with thousands kept apart by one sign all through; ok is false where it is none.
func groups(text string) (plain string, ok bool) {
	if !grouped.MatchString(text) {
		return "", false
	}
	sign := text[strings.IndexAny(text, " ',.")]
	for _, other := range " ',." {
		if byte(other) != sign && strings.ContainsRune(text, other) {
			return "", false
		}
	}
	return strings.ReplaceAll(text, string(sign), ""), true
}

// whole reads a number of people: 1234, "1 234", "1,234", "1'234". "1.234" is that only to some, and 1.234 to others.
func whole(text string) (int, error) {
	t, want := tidy(text), errors.New("want a whole number such as 1234 or 1,234")
	if exponent.MatchString(t) {
		f, err := strconv.ParseFloat(t, 64)
		if err != nil || f != math.Trunc(f) || f > 1e12 {
			return 0, want
		}
		return int(f), nil
	}
	if head, tail, ok := strings.Cut(t, "."); ok && digits.MatchString(head) && strings.Trim(tail, "0") == "" && tail != "" && len(tail) != 3 {
		t = head // 1200.0
	}
	if p, ok := groups(t); ok {
		if strings.Count(t, ".") == 1 {
			return 0, fmt.Errorf("may be %s or a fraction; write %s", p, p)
		}
		t = p
	}
	if !digits.MatchString(t) || len(t) > 12 {
		return 0, want
	}
	return strconv.Atoi(t)
}

// decimal reads a number that may have a fraction, after a point or a comma. Where a comma or a point may part
// thousands as well, it is refused; a workbook tells its numbers with a point.
func decimal(text string, workbook bool) (float64, error) {
	t, sign := tidy(text), 1.0
	if after, ok := strings.CutPrefix(t, "-"); ok {
		t, sign = after, -1
	} else {
		t = strings.TrimPrefix(t, "+")
	}
	if p, ok := groups(t); ok {
		mark := t[strings.IndexAny(t, " ',.")]
		if (mark == ',' || mark == '.') && strings.Count(t, string(mark)) == 1 && !(workbook && mark == '.') {
			fraction := strings.TrimRight(strings.Replace(t, ",", ".", 1), "0")
			if _, after, _ := strings.Cut(fraction, "."); len(after) == 0 || len(after) == 3 {
				fraction += "0" // so that it is no group of three
			}
			return 0, fmt.Errorf("may be %s or %s; write it so", p, fraction)
		}
		if !(workbook && mark == '.') {
			t = p
		}
	}
	if whole, fraction, ok := cutLast(t, ",."); ok && digits.MatchString(fraction) {
		p, isGrouped := groups(whole)
		switch {
		case digits.MatchString(whole):
			t = whole + "." + fraction
		case isGrouped && !strings.ContainsRune(whole, rune(t[len(whole)])): // 1,234.5 or 1.234,5
			t = p + "." + fraction
		default:
			return 0, errors.New("want a number such as 12.5 or 12,5")
		}
	}
	if !digits.MatchString(strings.Replace(t, ".", "", 1)) && !exponent.MatchString(t) || strings.HasPrefix(t, ".") || strings.HasSuffix(t, ".") {
		return 0, errors.New("want a number such as 12.5 or 12,5")
	}
	f, err := strconv.ParseFloat(t, 64)
	if err != nil {
		return 0, errors.New("want a number such as 12.5 or 12,5")
	}
	return sign * f, nil
}

func cutLast(text, signs string) (before, after string, ok bool) {
	i := strings.LastIndexAny(text, signs)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// mbps reads a speed. Its own unit wins over that of the header, and without either it is Mbit/s.
func mbps(text string, scale float64, workbook bool) (float64, error) {
	own, rest, err := unit(text)
	if err != nil {
		return 0, err
	}
	if own != 0 {
		scale, text = own, rest
	}
	f, err := decimal(text, workbook)
	if err != nil {
		return 0, err
	}
	if scale == 0.001 {
		f /= 1000 // 512 * 0.001 has an error in its last digit, 512 / 1000 has none
	} else if scale != 0 {
		f *= scale
	}
	if f < 0 {
		return 0, errors.New("want 0 or more Mbit/s")
	}
	return f, nil
}
