package press

import "github.com/smartvillage/nabz/collector/press/pdf"

// Tone is a colour by its meaning. On paper it is that of the light page.
type Tone uint8

// The tones: of text and lines, of states, of series in a chart.
const (
	ToneInk Tone = iota
	ToneMuted
	ToneLine
	TonePanel
	ToneUp
	ToneDegraded
	ToneDown
	ToneOff
	ToneUnknown
	ToneA
	ToneASoft
	ToneB
	ToneGood
	ToneBad
	ToneUnsure
	ToneTintInfo
	ToneTintProvisional
	ToneTintWarning
	tones
)

// ink is a tone's name, behind "--p-" a custom property of press.css and behind "t-" a class of its shapes; its colour on paper, which
// a test holds to press.css; and the height of its part of a bar, of 1, so that states can be told without colour.
type ink struct {
	name   string
	colour pdf.Colour
	height float64
}

func (t Tone) ink() ink {
	if t >= tones {
		t = ToneInk
	}
	return [tones]ink{
		ToneInk:             {"ink", pdf.Colour{0x16, 0x1b, 0x22}, 1},
		ToneMuted:           {"muted", pdf.Colour{0x5a, 0x65, 0x73}, 1},
		ToneLine:            {"line", pdf.Colour{0xd3, 0xda, 0xe1}, 1},
		TonePanel:           {"panel", pdf.Colour{0xff, 0xff, 0xff}, 1},
		ToneUp:              {"up", pdf.Colour{0x5f, 0xb9, 0x93}, .7},
		ToneDegraded:        {"degraded", pdf.Colour{0xe0, 0xa0, 0x21}, .85},
		ToneDown:            {"down", pdf.Colour{0xd5, 0x34, 0x2b}, 1},
		ToneOff:             {"off", pdf.Colour{0x74, 0x85, 0x9a}, .85},
		ToneUnknown:         {"unknown", pdf.Colour{0xc9, 0xd1, 0xd9}, .35},
		ToneA:               {"a", pdf.Colour{0x1a, 0x66, 0xb8}, 1},
		ToneASoft:           {"a-soft", pdf.Colour{0x86, 0xb3, 0xe0}, 1},
		ToneB:               {"b", pdf.Colour{0xb4, 0x56, 0x0a}, 1},
		ToneGood:            {"good", pdf.Colour{0x17, 0x73, 0x50}, 1},
		ToneBad:             {"bad", pdf.Colour{0xc3, 0x24, 0x1c}, 1},
		ToneUnsure:          {"unsure", pdf.Colour{0x8f, 0x56, 0x00}, 1},
		ToneTintInfo:        {"tint-info", pdf.Colour{0xee, 0xf3, 0xf8}, 1},
		ToneTintProvisional: {"tint-provisional", pdf.Colour{0xfd, 0xf5, 0xe4}, 1},
		ToneTintWarning:     {"tint-warning", pdf.Colour{0xfd, 0xec, 0xea}, 1},
	}[t]
}

// tones of a note: its ground and its edge.
func (k NoteKind) tones() (ground, edge Tone) {
	switch k {
	case NoteWarning:
		return ToneTintWarning, ToneBad
	case NoteProvisional:
		return ToneTintProvisional, ToneUnsure
	}
	return ToneTintInfo, ToneA
}

func (k MarkKind) tone() Tone {
	switch k {
	case MarkGood:
		return ToneGood
	case MarkBad:
		return ToneBad
	}
	return ToneUnsure
}
