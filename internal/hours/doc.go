// Package hours knows opening hours and time zones, as people write them and as a router without a table of zones can hold them.
//
// In: texts such as "Mo-Fr 08:00-16:00, Sa 09:00-12:00" and "+05:00" or "CET-1CEST,M3.5.0,M10.5.0/3", from the configurations and site lists of
// both ends. Out: whether it is open at an instant and until when, or what is wrong with the text. It keeps nothing.
package hours
