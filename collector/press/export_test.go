package press

import "github.com/smartvillage/nabz/collector/press/pdf"

// Ink is a tone's name and its colour on paper.
type Ink struct {
	Name   string
	Colour pdf.Colour
}

// Inks returns those of all tones.
func Inks() (all []Ink) {
	for t := range tones {
		all = append(all, Ink{t.ink().name, t.ink().colour})
	}
	return all
}
