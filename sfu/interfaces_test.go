package sfu

import (
	"testing"
	"time"
)

// Who joins with others shares their look at the interfaces; who joins later
// sees what has changed.
func TestInterfacesAreSharedForAMoment(t *testing.T) {
	var i interfaces
	now := time.Now()
	first := i.look(now)
	if first == nil {
		t.Fatal("nothing is seen")
	}
	if all, err := first.Interfaces(); err != nil || len(all) == 0 {
		t.Errorf("%d interfaces, %v", len(all), err)
	}
	if i.look(now.Add(interfacesFor-1)) != first {
		t.Error("the kernel was asked again")
	}
	if i.look(now.Add(interfacesFor)) == first {
		t.Error("a change would stay unseen")
	}
}
