package main

import (
	"fmt"
	"strings"

	"commsd/bench/media/camera"
)

// Scenario says who is in how many rooms, and who of them sends what.
type Scenario struct {
	Name        string `json:"name"`
	About       string `json:"about"`
	Rooms       int    `json:"rooms"`
	Publishers  int    `json:"publishers"`  // of each room; they receive the others
	Subscribers int    `json:"subscribers"` // of each room, who receive alone
	Layer       string `json:"layer"`       // highest that is published: f, h or q; "": sound alone
	Speakers    int    `json:"speakers"`    // of a room; other microphones send comfort noise
	SpeakIn     int    `json:"speak_in"`    // one of so many rooms; 0: in all
}

// scenarios are the named ones. What each sends was chosen so that two
// processors can carry it: some 30,000 forwarded packets a second at most.
var scenarios = []Scenario{
	{"1x100", "one speaks, 100 listen: 720p", 1, 1, 100, "f", 1, 0},
	{"room-2", "two talk: 720p", 1, 2, 0, "f", 2, 0},
	{"room-10", "ten, all send 360p, two speak", 1, 10, 0, "h", 2, 0},
	{"room-50", "50, the first ten send 180p, two speak", 1, 10, 40, "q", 2, 0},
	{"room-100", "100, the first ten send 180p, one speaks", 1, 10, 90, "q", 1, 0},
	{"room-300", "300, the first three send 180p, one speaks", 1, 3, 297, "q", 1, 0},
	{"1-of-3", "one room of three, all send 720p, one speaks", 1, 3, 0, "f", 1, 0},
	{"50-of-3", "50 rooms of three, all send 180p, one speaks", 50, 3, 0, "q", 1, 0},
	{"300-of-3", "300 rooms of three, sound alone, one speaks in every third room", 300, 3, 0, "", 1, 3},
}

func scenarioOf(name string) (Scenario, error) {
	var names []string
	for _, s := range scenarios {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(names, ", "))
}

// Validate names the field at fault.
func (s Scenario) Validate() error {
	switch {
	case s.Rooms < 1:
		return fmt.Errorf("-rooms: at least 1")
	case s.Publishers < 1 || s.Subscribers < 0:
		return fmt.Errorf("-publishers, -subscribers: at least 1 and 0")
	case s.Layer != "" && camera.Widths[s.Layer] == 0:
		return fmt.Errorf("-layer: %q is none of q, h, f and empty", s.Layer)
	}
	return nil
}

// layers are the RIDs that a publisher sends.
func (s Scenario) layers() []string {
	for i, rid := range camera.Layers {
		if rid == s.Layer {
			return camera.Layers[:i+1]
		}
	}
	return nil
}

// people are all participants.
func (s Scenario) people() int { return s.Rooms * (s.Publishers + s.Subscribers) }

// streams are how many of a kind are received in all.
func (s Scenario) streams() int { return s.Rooms * s.Publishers * (s.Publishers + s.Subscribers - 1) }
