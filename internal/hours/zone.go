package hours

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseZone reads a time zone: "UTC"; an offset from it, east is "+", such as "+05:00"; a rule as OpenWrt keeps it in /etc/TZ, such as
// "PKT-5" or "CET-1CEST,M3.5.0,M10.5.0/3" (POSIX: there east is "-"); or a name such as "Asia/Karachi", where the system has the
// data for names. The data is not part of the program: it would be a tenth of a router's room for it.
func ParseZone(text string) (*time.Location, error) {
	const forms = `write an offset such as "+05:00", or a rule such as "PKT-5"`
	switch {
	case text == "":
		return nil, fmt.Errorf("is not set; %s", forms)
	case text == "UTC" || text == "Z":
		return time.UTC, nil
	case text[0] == '+' || text[0] == '-':
		seconds, ok := offset(text)
		if !ok {
			return nil, fmt.Errorf("%q is not an offset from UTC; write it as \"+05:00\", from \"-12:00\" to \"+14:00\"", text)
		}
		return time.FixedZone(text, seconds), nil
	case isRule(text):
		l, ok := rule(text)
		if !ok {
			return nil, fmt.Errorf("%q is not a time zone rule; %s or \"CET-1CEST,M3.5.0,M10.5.0/3\"", text, forms)
		}
		return l, nil
	case text == "Local": // Go's word for the machine's own zone, which a router keeps where Go does not look
		return nil, fmt.Errorf("%q says nothing on a router; %s", text, forms)
	}
	l, err := time.LoadLocation(text)
	if err != nil {
		return nil, fmt.Errorf("this machine has no data for the time zone %q; %s", text, forms)
	}
	return l, nil
}

// offset reads "+05:00", "-3" or "+0545" as seconds.
func offset(text string) (seconds int, ok bool) {
	hours, minutes, colon := strings.Cut(text[1:], ":")
	if !colon && len(hours) == 4 {
		hours, minutes = hours[:2], hours[2:]
	} else if !colon {
		minutes = "00"
	}
	h, err1 := strconv.ParseUint(hours, 10, 8)
	m, err2 := strconv.ParseUint(minutes, 10, 8)
	if err1 != nil || err2 != nil || len(hours) > 2 || len(minutes) != 2 || m > 59 {
		return 0, false
	}
	seconds = int(h*3600 + m*60)
	if text[0] == '-' {
		return -seconds, seconds <= 12*3600
	}
	return seconds, seconds <= 14*3600
}

// isRule tells a POSIX rule, a name and then an offset, from a name alone.
func isRule(text string) bool {
	if text[0] == '<' {
		return true
	}
	n := 0
	for n < len(text) && (text[n]|0x20) >= 'a' && (text[n]|0x20) <= 'z' {
		n++
	}
	return n >= 3 && n < len(text) && strings.IndexByte("+-0123456789", text[n]) >= 0
}

// rule makes a location of a POSIX rule. The standard library reads such rules where it finds them: at the end of a file of zone data
// (RFC 8536), here one without any transition. A rule that it cannot read leaves the file's own zone in force.
func rule(text string) (*time.Location, bool) {
	if len(text) > 64 || strings.ContainsAny(text, "\n\x00") {
		return nil, false
	}
	header := func(kinds, letters uint32) []byte {
		b := append([]byte("TZif2"), make([]byte, 15+4*4)...) // no indicators, leap seconds or transitions
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, kinds), letters)
	}
	file := header(0, 0)
	file = append(file, header(1, 2)...)
	file = append(file, 0, 0, 0, 0, 0, 0, '?', 0) // one kind of time: UTC, called "?"
	file = append(file, "\n"+text+"\n"...)
	l, err := time.LoadLocationFromTZData(text, file)
	if err != nil {
		return nil, false
	}
	for _, month := range []time.Month{time.January, time.July} {
		if name, _ := time.Date(2030, month, 1, 0, 0, 0, 0, time.UTC).In(l).Zone(); name == "?" {
			return nil, false
		}
	}
	return l, true
}
