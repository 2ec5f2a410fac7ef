//go:build race

package sfu

const raceEnabled = true // pools forget on purpose
