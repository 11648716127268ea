package reference

import (
	"regexp"
	"strconv"
	"strings"
)

// Takes is what a key accepts, as the program itself says when it refuses something else. All are "" or nil where it does not say.
type Takes struct {
	Low, High string   // both allowed, without quotation marks
	Zero      bool     // 0 too, though it is below Low
	Words     []string // one of these
	LowKey    string   // the key whose value Low is
	Above     string   // more than this, at most High
}

// String is "10s to 1h", "standard or metered", or "".
func (t Takes) String() string {
	switch {
	case len(t.Words) > 0:
		last := len(t.Words) - 1
		return strings.Join(t.Words[:last], ", ") + " or " + t.Words[last]
	case t.Above != "":
		return "more than " + t.Above + ", at most " + t.High
	case t.Low == "":
		return ""
	}
	low, zero := t.Low, ""
	if t.LowKey != "" {
		low = t.LowKey
	}
	if t.Zero {
		zero = "0, or "
	}
	if t.High == "" {
		return zero + low + " or more"
	}
	return zero + low + " to " + t.High
}

// refuses gives a file with this value for the key, as it is written there, to the program. It returns what the program says of the key; "" where it takes the value.
type refuses func(value string) string

// about picks what is said of a key out of all that a program says.
func about(err error, key string) string {
	if err == nil {
		return ""
	}
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, key+": ") {
			return strings.TrimPrefix(line, key+": ")
		} else if _, said, ok := strings.Cut(line, " "+key+": "); ok {
			return said
		}
	}
	return ""
}

var (
	outside = regexp.MustCompile(`is outside (\S+) to (\S+)$`)
	between = regexp.MustCompile(`, want (-?[0-9.]+) to ([0-9.]+)( \S+)?$`)
	orMore  = regexp.MustCompile(`, want ([0-9.]+) or more$`)
	above   = regexp.MustCompile(`, want a number above (\S+), at most (\S+)$`)
	noneOf  = regexp.MustCompile(`is none of (.+)$`)
)

// far are values beyond what anybody wants, low and high.
var far = map[string][2]string{
	"length of time": {`"-2562047h"`, `"2562047h"`},
	"whole number":   {"-9223372036854775807", "9223372036854775807"},
	"number":         {"-1e300", "1e300"},
}

// provoke finds out what a key takes by what is said of what it does not.
func provoke(kind string, refuse refuses) (t Takes) {
	if kind == "text" {
		if m := noneOf.FindStringSubmatch(refuse(`"none of them"`)); m != nil {
			t.Words = strings.Split(m[1], ", ")
		}
		return t
	}
	for _, value := range far[kind] {
		said := refuse(value)
		if m := above.FindStringSubmatch(said); m != nil {
			t.Above, t.High = plain(m[1]), plain(m[2])
		}
		for _, how := range []*regexp.Regexp{outside, between, orMore} {
			m := how.FindStringSubmatch(said)
			if m == nil {
				continue
			}
			if t.Low = plain(m[1]); how != orMore {
				t.High = plain(m[2])
			}
		}
	}
	if t.Low != "" && refuse(written(kind, "0")) == "" {
		t.Zero = refuse(written(kind, t.Low)) == "" && positive(kind, t.Low)
	}
	return t
}

// written is a value as it stands in a file.
func written(kind, value string) string {
	switch {
	case kind == "length of time" && value == "0":
		return `"0s"`
	case kind == "length of time":
		return `"` + value + `"`
	}
	return value
}

func positive(kind, value string) bool {
	if kind == "length of time" {
		return value != "0s" && !strings.HasPrefix(value, "-")
	}
	f, err := strconv.ParseFloat(value, 64)
	return err == nil && f > 0
}

// plain is a number without an exponent; anything else stays.
func plain(value string) string {
	if f, err := strconv.ParseFloat(value, 64); err == nil && strings.ContainsAny(value, "eE") {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return value
}
