package fleet

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A day is two letters of its English name or more.
const (
	dayNames = `(?:mo(?:n(?:d(?:ay?)?)?)?|tu(?:e(?:s(?:d(?:ay?)?)?)?)?|we(?:d(?:n(?:e(?:s(?:d(?:ay?)?)?)?)?)?)?|` +
		`th(?:u(?:r(?:s(?:d(?:ay?)?)?)?)?)?|fr(?:i(?:d(?:ay?)?)?)?|sa(?:t(?:u(?:r(?:d(?:ay?)?)?)?)?)?|su(?:n(?:d(?:ay?)?)?)?)`
	dayTimes = `[0-9]{1,2}:[0-5][0-9]-[0-9]{1,2}:[0-5][0-9]`
)

// hoursPart is days, times, or both: "Mo-Fr 08:00-16:00".
var hoursPart = regexp.MustCompile(`^(?:(` + dayNames + `(?:-` + dayNames + `)?)(?: (` + dayTimes + `))?|(` + dayTimes + `))$`)

// CheckHours tells what is wrong with opening hours such as "Mo-Fr 08:00-16:00, Sa 09:00-12:00". It takes what the
// agent takes for its services: "" and "24/7" are always. A test holds the two against each other.
func CheckHours(text string) error {
	text = strings.TrimSpace(text)
	if text == "" || text == "24/7" {
		return nil
	}
	pending, times := false, 0 // pending: days that still want their times
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' }) {
		m := hoursPart.FindStringSubmatch(strings.ToLower(strings.Join(strings.Fields(part), " ")))
		if m == nil {
			return hoursFault(part, "is not days and times")
		}
		if t := m[2] + m[3]; t != "" {
			if err := checkTimes(t); err != nil {
				return err
			}
			pending = false
			times++
		} else {
			pending = true
		}
	}
	if pending || times == 0 {
		return hoursFault(text, "names days without times")
	}
	return nil
}

func checkTimes(text string) error {
	var ends [2]int
	for i, clock := range strings.Split(text, "-") {
		h, m, _ := strings.Cut(clock, ":")
		hour, _ := strconv.Atoi(h)
		minute, _ := strconv.Atoi(m)
		ends[i] = hour*60 + minute
	}
	switch {
	case ends[0] >= 24*60 || ends[1] > 24*60:
		return hoursFault(text, "is not a pair of times")
	case ends[0] == ends[1]:
		return fmt.Errorf("%q lasts no time; the whole day is \"00:00-24:00\"", text)
	}
	return nil
}

func hoursFault(text, what string) error {
	return fmt.Errorf("%q %s; write hours such as \"Mo-Fr 08:00-16:00, Sa 09:00-12:00\"", strings.TrimSpace(text), what)
}
