package sim

// Abroad are a dozen villages where clocks are changed, or stand at odd offsets: in spring and in autumn, in both hemispheres, for
// Ramadan, by half an hour. Some have two agents, some a router that forgets the time. They are for tests; Run knows the first agents alone.
func Abroad() []Site {
	const raia, atlas, austral, khumbu, indus, tasman = "Raia Net", "Atlas Mobile", "Austral Satelital", "Khumbu Link", "Indus Wireless", "Tasman Link"
	return []Site{
		{ID: "monsanto", Name: "Monsanto", District: "Beira", Operator: raia, Technology: Fibre, Latitude: 40.04, Longitude: -7.11, Population: 700, TimeZone: "Europe/Lisbon", Supply: Mains, Clinic: true, NightWatch: true},
		{ID: "sortelha", Name: "Sortelha", District: "Beira", Operator: raia, Technology: Microwave, Latitude: 40.33, Longitude: -7.21, Population: 400, TimeZone: "Europe/Lisbon", Supply: UPS, School: true, SecondAgent: true},
		{ID: "imlil", Name: "Imlil", District: "Haouz", Operator: atlas, Technology: LTE, Latitude: 31.14, Longitude: -7.92, Population: 2100, TimeZone: "Africa/Casablanca", Supply: Mains, Clinic: true, NoClock: true},
		{ID: "tafraoute", Name: "Tafraoute", District: "Tiznit", Operator: atlas, Technology: Satellite, Latitude: 29.72, Longitude: -8.97, Population: 4900, TimeZone: "Africa/Casablanca", Supply: Solar, School: true, NightWatch: true},
		{ID: "putre", Name: "Putre", District: "Parinacota", Operator: austral, Technology: Satellite, Latitude: -18.2, Longitude: -69.56, Population: 1400, TimeZone: "America/Santiago", Supply: Solar, Clinic: true, School: true},
		{ID: "caleta-tortel", Name: "Caleta Tortel", District: "Capitan Prat", Operator: austral, Technology: LTE, Latitude: -47.8, Longitude: -73.54, Population: 500, TimeZone: "America/Santiago", Supply: Mains, NightWatch: true, SecondAgent: true},
		{ID: "namche", Name: "Namche", District: "Solukhumbu", Operator: khumbu, Technology: Microwave, Latitude: 27.81, Longitude: 86.71, Population: 1500, TimeZone: "Asia/Kathmandu", Supply: Solar, Clinic: true},
		{ID: "jiri", Name: "Jiri", District: "Dolakha", Operator: khumbu, Technology: Fibre, Latitude: 27.63, Longitude: 86.23, Population: 8000, TimeZone: "Asia/Kathmandu", Supply: Mains, Kiosk: true, School: true},
		{ID: "chilas", Name: "Chilas", District: "Diamer", Operator: indus, Technology: LTE, Latitude: 35.42, Longitude: 74.09, Population: 9000, TimeZone: timeZone, Supply: Mains, Clinic: true, School: true, SecondAgent: true},
		{ID: "askole", Name: "Askole", District: "Shigar", Operator: indus, Technology: Satellite, Latitude: 35.68, Longitude: 75.82, Population: 500, TimeZone: timeZone, Supply: Mains, School: true, NoClock: true},
		{ID: "lagoon", Name: "Lagoon", District: "Lord Howe", Operator: tasman, Technology: Microwave, Latitude: -31.53, Longitude: 159.07, Population: 380, TimeZone: "Australia/Lord_Howe", Supply: UPS, School: true, NightWatch: true},
		{ID: "burgeo", Name: "Burgeo", District: "Ramea", Operator: tasman, Technology: LTE, Latitude: 47.62, Longitude: -57.62, Population: 1200, TimeZone: "America/St_Johns", Supply: Mains, Clinic: true, NightWatch: true},
	}
}
