package manypeople_test

import (
	"reflect"
	"testing"

	"commsd/bench/manypeople"
	"commsd/directory"
)

func all(seed uint64) (agencies []directory.FillAgency, people, nguyen int, addresses map[string]bool) {
	addresses = map[string]bool{}
	for d := manypeople.New(seed, 30_000, 100); ; {
		a, ok := d.Next()
		if !ok {
			return agencies, people, nguyen, addresses
		}
		agencies = append(agencies, a)
		for _, u := range a.Units {
			for _, p := range u.People {
				people++
				addresses[p.Address] = true
				if p.Family == "Nguyễn" {
					nguyen++
				}
			}
		}
	}
}

func TestPeople(t *testing.T) {
	agencies, people, nguyen, addresses := all(3)
	if len(agencies) != 100 || people != 30_000 || len(addresses) != people {
		t.Fatalf("%d agencies, %d people, %d addresses", len(agencies), people, len(addresses))
	}
	if share := 100 * nguyen / people; share < 29 || share > 37 {
		t.Errorf("%d%% are called Nguyễn", share)
	}
	identifiers := map[string]bool{}
	for _, a := range agencies {
		identifiers[a.Identifier] = true
		for i, u := range a.Units {
			if u.Parent >= i {
				t.Fatalf("unit %d of %s stands below %d, which is not before it", i, a.Identifier, u.Parent)
			}
		}
	}
	if len(identifiers) != len(agencies) {
		t.Errorf("%d identifiers", len(identifiers))
	}
	if again, _, _, _ := all(3); !reflect.DeepEqual(agencies, again) {
		t.Error("the same seed invents others")
	}
}
