package signaling

import (
	"bytes"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"commsd/internal/accesstoken"
	"commsd/internal/errcode"
	lk "commsd/internal/lkproto"
)

const (
	// maxFields bounds the fields of a message: an empty part takes two bytes
	// on the wire, and hundreds once it is read. The fullest that clients send
	// have some thousands.
	maxFields = 20_000
	// sidsAMessage is how many tracks a message may speak of at the price of one
	// that speaks of none.
	sidsAMessage = 8

	// How often one account, or one identity of an operator's token, may come
	// in or come back: a client that looks for a way in tries ten times.
	joinsAtOnce, joinsASecond = 60, 1
	// placesOfAccount bounds the tabs and devices that a person is in one room
	// with: each costs the others what a person costs.
	placesOfAccount = 16
	// maxNewcomers is how many joinRates remembers before it looks for who can
	// be forgotten.
	maxNewcomers = 10_000
)

// tooManyFields tells whether data, a message of type d, has more fields than
// clients send. What is no message passes: it is refused where it is read.
func tooManyFields(data []byte, d protoreflect.MessageDescriptor) bool {
	return countFields(data, d, maxFields) < 0
}

// countFields takes the fields of data from left, and stops below 0.
func countFields(data []byte, d protoreflect.MessageDescriptor, left int) int {
	for len(data) > 0 && left >= 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return left
		}
		data = data[n:]
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			return left
		}
		left--
		field := d.Fields().ByNumber(number)
		if kind == protowire.BytesType && field != nil && field.Message() != nil {
			value, _ := protowire.ConsumeBytes(data)
			left = countFields(value, field.Message(), left)
		}
		data = data[n:]
	}
	return left
}

// tooManyValues is tooManyFields for protojson: no more values than commas and
// what they stand in.
func tooManyValues(text []byte) bool {
	return bytes.Count(text, []byte{','})+bytes.Count(text, []byte{'{'})+bytes.Count(text, []byte{'['}) > maxFields
}

// weight is what a message counts against its sender's share.
func weight(r *lk.SignalRequest) float64 {
	sids := 0
	switch m := r.GetMessage().(type) {
	case *lk.SignalRequest_Subscription:
		sids = countSIDs(m.Subscription)
	case *lk.SignalRequest_TrackSetting:
		sids = len(m.TrackSetting.GetTrackSids())
	case *lk.SignalRequest_SubscriptionPermission:
		for _, g := range m.SubscriptionPermission.GetTrackPermissions() {
			sids += 1 + len(g.GetTrackSids())
		}
	case *lk.SignalRequest_SyncState:
		s := m.SyncState
		sids = countSIDs(s.GetSubscription()) + len(s.GetTrackSidsDisabled()) + len(s.GetPublishTracks()) + len(s.GetDatachannelReceiveStates())
	}
	return 1 + float64(sids)/sidsAMessage
}

func countSIDs(u *lk.UpdateSubscription) int {
	n := len(u.GetTrackSids())
	for _, p := range u.GetParticipantTracks() {
		n += 1 + len(p.GetTrackSids())
	}
	return n
}

// share is what a place may say, over all its sockets.
type share struct {
	mu       sync.Mutex
	messages rate // guarded by mu
	bytes    rate // guarded by mu
}

func newShare(now func() time.Time) *share {
	return &share{
		messages: rate{burst: messagesAtOnce, perSecond: messagesASecond, now: now},
		bytes:    rate{burst: bytesAtOnce, perSecond: bytesASecond, now: now},
	}
}

// take counts messages and their bytes; it reports false when that is too much.
func (s *share) take(messages float64, size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	enough := s.messages.take(messages)
	return s.bytes.take(float64(size)) && enough
}

// joinRates bounds how often people come in.
type joinRates struct {
	mu sync.Mutex
	by map[string]*rate // guarded by mu; by who comes
}

// take tells whether the holder of claims may come in now.
func (j *joinRates) take(c accesstoken.Claims, now func() time.Time) error {
	who := "account " + string(c.Account)
	if c.Account == "" {
		who = c.Key + " " + c.Video.Room + " " + c.Identity
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.by[who]
	if r == nil {
		if len(j.by) >= maxNewcomers {
			j.forgetLocked(now())
		}
		r = &rate{burst: joinsAtOnce, perSecond: joinsASecond, now: now}
		j.by[who] = r
	}
	if r.take(1) {
		return nil
	}
	r.taken-- // who is refused does not wait longer for it
	return errcode.New(errcode.RateLimited, "you come in too often; wait a few seconds").After(time.Second)
}

// forgetLocked forgets those whose share is whole again; j.mu is held.
func (j *joinRates) forgetLocked(now time.Time) {
	for who, r := range j.by {
		if now.Sub(r.last).Seconds()*joinsASecond >= joinsAtOnce {
			delete(j.by, who)
		}
	}
}

// placeFor tells whether the holder of claims may have a further place in its
// room.
func (s *Service) placeFor(c accesstoken.Claims) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.placeForLocked(c)
}

// placeForLocked is placeFor; s.mu is held.
func (s *Service) placeForLocked(c accesstoken.Claims) error {
	if c.Account == "" {
		return nil // an operator's own business
	}
	places := 0
	for _, ses := range s.sessions {
		o := ses.currentClaims()
		if o.Account == c.Account && o.Video.Room == c.Video.Room && o.Identity != c.Identity { // its own is replaced
			places++
		}
	}
	if places >= placesOfAccount {
		return errcode.New(errcode.Forbidden, "you are in this meeting in %d tabs or devices already; leave it in one of them first", places)
	}
	return nil
}
