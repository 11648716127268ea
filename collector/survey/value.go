package survey

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/internal/hours"
	"github.com/smartvillage/nabz/telemetry"
)

// set puts the text of a cell into the site. The error says what would be taken instead.
func (e *Entry) set(c Column, text string, o *Options, zones map[string]error) (err error) {
	s := &e.Site
	if excelFault(text) {
		return errors.New("which is a formula of the spreadsheet that failed; mend it, or leave the cell empty")
	}
	switch c.Key {
	case "id":
		if o.IDFrom == "" {
			s.ID, err = givenID(text)
		} else {
			s.ID, err = idOf(text)
		}
	case "name":
		s.Name, err = words(text)
	case "district":
		s.District, err = words(text)
	case "operator":
		s.Operator, err = words(text)
	case "upstream":
		s.Upstream, err = words(text)
	case "technology":
		s.Technology, err = words(text)
	case "latitude":
		s.Latitude, err = coordinate(text, latitude)
	case "longitude":
		s.Longitude, err = coordinate(text, longitude)
	case "population":
		s.Population, err = whole(text)
	case "students":
		if s.Students, err = whole(text); err == nil {
			err = (fleet.Site{ID: "x", Students: s.Students}).Check()
		}
	case "data_budget_mb":
		if s.DataBudgetMB, err = whole(text); err == nil {
			err = (fleet.Site{ID: "x", DataBudgetMB: s.DataBudgetMB}).Check()
		}
	case "target_down_mbps":
		s.TargetDownMbps, err = mbps(text, c.scale, o.Workbook)
	case "target_up_mbps":
		s.TargetUpMbps, err = mbps(text, c.scale, o.Workbook)
	case "service_hours":
		s.ServiceHours, err = opening(text)
	case "time_zone":
		s.TimeZone = text
		known, asked := zones[text]
		if !asked {
			if (fleet.Site{ID: "x", TimeZone: text}).Check() != nil {
				known = errors.New("want an IANA name such as Asia/Karachi")
			}
			zones[text] = known
		}
		err = known
	}
	if err == nil && strings.HasPrefix(c.Key, "target_") {
		err = (fleet.Site{ID: "x", TargetDownMbps: max(s.TargetDownMbps, s.TargetUpMbps)}).Check()
	}
	return err
}

// words is a text on one line, each gap one space.
func words(text string) (string, error) {
	text = norm.NFC.String(strings.Join(strings.Fields(text), " "))
	switch {
	case len(text) > maxText:
		return "", fmt.Errorf("want at most %d bytes, these are %d", maxText, len(text))
	case strings.ContainsFunc(text, unicode.IsControl) || strings.ContainsRune(text, unicode.ReplacementChar):
		return "", errors.New("which has a sign in it that cannot be read; type the cell again")
	}
	return text, nil
}

const maxText = 200

var dash = regexp.MustCompile(` *- *`)

// opening also takes what is typed with long dashes and spaces around them.
func opening(text string) (string, error) {
	text = strings.Join(strings.Fields(dash.ReplaceAllString(strings.ReplaceAll(tidy(text), "—", "-"), "-")), " ")
	if len(text) > maxText {
		return "", fmt.Errorf("want at most %d bytes, these are %d", maxText, len(text))
	}
	if _, err := hours.Parse(text); err != nil {
		return "", errors.New(`want hours such as "Mo-Fr 08:00-16:00, Sa 09:00-12:00", or 24/7`)
	}
	return text, nil
}

// givenID is an id as it stands.
func givenID(text string) (string, error) {
	err := telemetry.CheckID("site", text)
	if err == nil {
		return text, nil
	}
	if made, cannot := idOf(text); cannot == nil {
		return "", fmt.Errorf("want an id of a-z, 0-9 and \"-\"; --id-from id makes it %q", made)
	}
	return "", errors.New("want an id of a-z, 0-9 and \"-\", beginning with a letter or a digit, at most 63 characters")
}

// plainLetters are those of the Latin script that are no plain letter with a mark.
var plainLetters = strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "ø", "o", "đ", "d", "ð", "d", "þ", "th", "ł", "l", "ħ", "h", "ı", "i", "ŋ", "ng",
	"ɓ", "b", "ɗ", "d", "ƙ", "k", "ƴ", "y", "ɛ", "e", "ɔ", "o", "ə", "e", "'", "", "’", "", "ʼ", "", "ʻ", "")

// idOf makes an id of a name: marks fall off letters, all else but letters and digits becomes one "-". A name in another
// script has none, as whatever were left over could be that of many.
func idOf(name string) (string, error) {
	var b strings.Builder
	gap := false
	for _, r := range plainLetters.Replace(norm.NFD.String(plainLetters.Replace(strings.ToLower(name)))) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r):
		case unicode.IsLetter(r) || unicode.IsNumber(r):
			return "", fmt.Errorf("%q is no letter of a-z or like one; give the site an id of its own", string(r))
		default:
			gap = true
		}
	}
	id := b.String()
	if len(id) > 63 {
		return "", fmt.Errorf("it would be %d characters long, and 63 are allowed; give the site an id of its own", len(id))
	}
	if id == "" {
		return "", errors.New("it has no letter and no digit")
	}
	return id, nil
}
