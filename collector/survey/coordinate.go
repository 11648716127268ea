package survey

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// axis is latitude or longitude.
type axis struct {
	key, positive, negative string
	max                     float64
	example                 string
}

var (
	latitude  = axis{"latitude", "N", "S", 90, `33.6894, 33,6894 or 33°41'22"N`}
	longitude = axis{"longitude", "E", "W", 180, `72.9, 72,9 or 72°54'30"E`}
	sided     = regexp.MustCompile(`^(?i:(north|south|east|west|[nsewo])[ .:]*(.*)|(.*?) *(north|south|east|west|[nsewo])\.?)$`)
	oneNumber = regexp.MustCompile(`^([0-9]{1,3}(?:[.,][0-9]{1,15})?) ?(?:°|deg|degrees)?$`)
	manyParts = regexp.MustCompile(`^([0-9]{1,3}) ?(°|deg|d|:| ) ?([0-9]{1,2}(?:[.,][0-9]{1,12})?)(?: ?('|min|m|:| )(?: ?([0-9]{1,2}(?:[.,][0-9]{1,12})?) ?("|''|sec|s)?)?)?$`)
)

// coordinate reads a latitude or longitude as people write it: 33.6894, 33,6894, 33.6894° N, S 1.5, 33°41'22"N,
// 33° 41.367' N. The error says what would be taken.
func coordinate(text string, a axis) (float64, error) {
	t := tidy(text)
	want := fmt.Errorf("want degrees such as %s", a.example)
	if exponent.MatchString(strings.TrimPrefix(t, "-")) { // as a workbook may tell a small number
		if f, err := strconv.ParseFloat(t, 64); err == nil && math.Abs(f) <= a.max {
			return f, nil
		}
		return 0, want
	}
	sign, side := 1.0, ""
	if m := sided.FindStringSubmatch(t); m != nil {
		side = strings.ToUpper((m[1] + m[4])[:1])
		t = strings.TrimSpace(m[2] + m[3])
	}
	switch {
	case side == "O":
		return 0, errors.New("O is west to some and east to others; write E or W")
	case side == a.negative:
		sign = -1
	case side != "" && side != a.positive:
		return 0, fmt.Errorf("%s is no side for a %s, which is %s or %s; are the columns swapped?", side, a.key, a.positive, a.negative)
	}
	if strings.HasPrefix(t, "-") || strings.HasPrefix(t, "+") {
		if side != "" {
			return 0, fmt.Errorf("has a sign and a side; write one of them: a minus is %s", a.negative)
		}
		if t[0] == '-' {
			sign = -1
		}
		t = strings.TrimSpace(t[1:])
	}
	value, err := angle(t, side != "")
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w; %w", err, want)
	case value > a.max && digits.MatchString(t) && len(t) > 3:
		return 0, fmt.Errorf("is beyond %v degrees; has it lost its decimal point?", a.max)
	case value > a.max:
		return 0, fmt.Errorf("is beyond %v degrees; %w", a.max, want)
	}
	return sign*value + 0, nil // so that no zero has a sign
}

var errNoAngle = errors.New("is no angle")

// angle reads degrees without a sign. Parts that only spaces keep from each other need a side, as they may be anything.
func angle(t string, hasSide bool) (float64, error) {
	if m := oneNumber.FindStringSubmatch(t); m != nil {
		return strconv.ParseFloat(strings.Replace(m[1], ",", ".", 1), 64)
	}
	if digits.MatchString(t) && len(t) < 16 {
		return strconv.ParseFloat(t, 64)
	}
	m := manyParts.FindStringSubmatch(t)
	if m == nil || m[2] == " " && !hasSide {
		return 0, errNoAngle
	}
	var parts [3]float64
	for i, text := range []string{m[1], m[3], m[5]} {
		if text != "" {
			parts[i], _ = strconv.ParseFloat(strings.Replace(text, ",", ".", 1), 64) // digits, by the pattern
		}
	}
	switch {
	case m[5] != "" && strings.ContainsAny(m[3], ".,"):
		return 0, errors.New("has minutes with a fraction, and seconds too")
	case parts[1] >= 60 || parts[2] >= 60:
		return 0, errors.New("has 60 minutes or seconds, or more")
	}
	return math.Round((parts[0]+parts[1]/60+parts[2]/3600)*1e7) / 1e7, nil // a centimetre
}
