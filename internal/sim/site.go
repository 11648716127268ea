package sim

import (
	"fmt"

	"github.com/smartvillage/nabz/telemetry"
)

// Technology is how a site reaches the internet.
type Technology string

// The technologies.
const (
	Fibre     Technology = "fibre"
	Microwave Technology = "microwave"
	LTE       Technology = "lte"
	Satellite Technology = "satellite"
)

// Supply is what a site's router runs on.
type Supply string

// The supplies. Mains goes out with the district's load shedding; a UPS and a battery under the sun do not.
const (
	Mains Supply = "mains"
	UPS   Supply = "ups"
	Solar Supply = "solar"
)

// Site is a simulated village. Coordinates are degrees; TimeZone is an IANA name, "" is UTC. By its clock go the opening hours, the
// evenings, the load shedding and the quiet nights.
type Site struct {
	ID, Name, District, Operator string
	Technology                   Technology
	Latitude, Longitude          float64
	Population                   int
	TimeZone                     string
	Supply                       Supply
	Kiosk                        bool // a school's kiosk, switched off at night
	Clinic, School               bool // services with opening hours
	NightWatch                   bool // one from 22:00 to 04:00, over the changes of the clock
	SecondAgent                  bool // a kiosk behind the router, with an agent of its own: see World.Beside
	NoClock                      bool // a router that forgets the time without power, where power and link fail together: see blackout
}

// Address names the site's agent, or the first of two.
func (s Site) Address() telemetry.Address { return telemetry.Address{Site: s.ID, Agent: "router"} }

// Second names the second agent, where the site has one.
func (s Site) Second() telemetry.Address { return telemetry.Address{Site: s.ID, Agent: "kiosk"} }

const timeZone = "Asia/Karachi"

// Villages are twelve real villages of Pakistan. Operators are invented, so that no real one is blamed for
// outages that never were; populations are rounded.
func Villages() []Site {
	const margalla, karakoram, pamir, neelum, thar, sahil = "Margalla Net", "Karakoram Link", "Pamir Satellite", "Neelum Mobile", "Thar Mobile", "Sahil Wireless"
	v := []Site{
		{ID: "gokina", Name: "Gokina", District: "Islamabad", Operator: margalla, Technology: Microwave, Latitude: 33.777, Longitude: 73.075, Population: 4200, Supply: Mains, Clinic: true, School: true},
		{ID: "saidpur", Name: "Saidpur", District: "Islamabad", Operator: margalla, Technology: Fibre, Latitude: 33.742, Longitude: 73.068, Population: 7500, Supply: UPS, School: true},
		{ID: "passu", Name: "Passu", District: "Hunza", Operator: karakoram, Technology: Fibre, Latitude: 36.487, Longitude: 74.890, Population: 1000, Supply: UPS, School: true},
		{ID: "misgar", Name: "Misgar", District: "Hunza", Operator: karakoram, Technology: Fibre, Latitude: 36.793, Longitude: 74.770, Population: 1300, Supply: Mains, Clinic: true},
		{ID: "shimshal", Name: "Shimshal", District: "Hunza", Operator: pamir, Technology: Satellite, Latitude: 36.440, Longitude: 75.306, Population: 2000, Supply: Solar, Clinic: true, School: true},
		{ID: "rumbur", Name: "Rumbur", District: "Lower Chitral", Operator: pamir, Technology: Satellite, Latitude: 35.770, Longitude: 71.690, Population: 1500, Supply: Solar, Clinic: true},
		{ID: "keran", Name: "Keran", District: "Neelum", Operator: neelum, Technology: LTE, Latitude: 34.655, Longitude: 73.950, Population: 3200, Supply: Mains, Clinic: true},
		{ID: "arang-kel", Name: "Arang Kel", District: "Neelum", Operator: neelum, Technology: LTE, Latitude: 34.808, Longitude: 74.348, Population: 1700, Supply: Solar, School: true},
		{ID: "nagarparkar", Name: "Nagarparkar", District: "Tharparkar", Operator: thar, Technology: LTE, Latitude: 24.357, Longitude: 70.755, Population: 15000, Supply: Mains, Clinic: true, School: true},
		{ID: "islamkot", Name: "Islamkot", District: "Tharparkar", Operator: thar, Technology: Microwave, Latitude: 24.699, Longitude: 70.178, Population: 17000, Supply: Mains, Clinic: true},
		{ID: "keti-bandar", Name: "Keti Bandar", District: "Thatta", Operator: sahil, Technology: Microwave, Latitude: 24.144, Longitude: 67.452, Population: 12000, Supply: Mains, Clinic: true},
		{ID: "derawar", Name: "Derawar", District: "Bahawalpur", Operator: sahil, Technology: LTE, Latitude: 28.768, Longitude: 71.334, Population: 900, Supply: Solar, Kiosk: true, School: true},
	}
	for i := range v {
		v[i].TimeZone = timeZone
	}
	return v
}

// Fleet is the first n sites: the twelve villages, then numbered ones, eight to a district and an operator.
func Fleet(n int) []Site {
	v := Villages()
	for i := len(v); i < n; i++ {
		v = append(v, numbered(i+1))
	}
	return v[:max(0, n)]
}

func numbered(n int) Site {
	r := randomOf(key("site"), uint64(n))
	group := n / 8
	s := Site{
		ID: fmt.Sprintf("village-%04d", n), Name: fmt.Sprintf("Village %d", n),
		District: fmt.Sprintf("District %d", group), Operator: fmt.Sprintf("Operator %d", group%7),
		Technology: []Technology{LTE, LTE, LTE, Microwave, Microwave, Fibre, Satellite}[r.next()%7],
		Supply:     []Supply{Mains, Mains, Mains, UPS, Solar}[r.next()%5],
		Latitude:   r.between(24.5, 36.5), Population: int(r.between(4, 90)) * 100, TimeZone: timeZone,
		Clinic: r.chance(0.4), School: r.chance(0.6),
	}
	s.Longitude = 67 + (s.Latitude-24.5)*0.55 + r.between(-1, 2.5) // along the Indus
	s.Kiosk = s.School && r.chance(0.1)
	return s
}
