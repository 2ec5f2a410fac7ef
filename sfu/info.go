package sfu

import (
	"sync"
	"time"
)

// Kind is the kind of a track.
type Kind uint8

// The kinds.
const (
	Audio Kind = iota
	Video
)

// Source says where a track comes from.
type Source string

// The sources.
const (
	SourceUnknown          Source = "unknown"
	SourceCamera           Source = "camera"
	SourceMicrophone       Source = "microphone"
	SourceScreenShare      Source = "screen_share"
	SourceScreenShareAudio Source = "screen_share_audio"
)

// kindOf is what a source of known kind sends.
var kindOf = map[Source]Kind{
	SourceCamera: Video, SourceMicrophone: Audio, SourceScreenShare: Video, SourceScreenShareAudio: Audio,
}

// VideoLayer describes one simulcast layer as its publisher announced it.
type VideoLayer struct {
	Quality       uint8 // 0 low, 1 medium, 2 high
	Width, Height uint32
	Bitrate       uint32 // bit/s
	SSRC          uint32
	RID           string
}

// TrackInfo is what others may know of a published track.
type TrackInfo struct {
	SID           string // "TR_…"
	CID           string // the publisher's own name for it
	MID           string
	Kind          Kind
	Source        Source
	Name          string
	Stream        string // tracks of one stream are played in step
	Codec         string // the MIME type of video that the publisher wants to send; empty: any
	MimeType      string // what it sends, "video/VP8"; empty until media has arrived
	Muted         bool
	Width, Height uint32
	Simulcast     bool
	Layers        []VideoLayer
	Stereo        bool
	DisableDTX    bool
	DisableRED    bool
	Encryption    uint8   // of the payload, end to end; opaque to the SFU
	Features      []int32 // audio processing the publisher announced; opaque to the SFU
	Version       uint32  // rises by one with every change
	Published     time.Time
}

// Permission says what a participant may do in its room.
type Permission struct {
	Subscribe      bool
	Publish        bool
	PublishData    bool
	UpdateMetadata bool
	Hidden         bool     // nobody else sees the participant
	Sources        []Source // what it may publish; empty: everything
}

func (p Permission) mayPublish(k Kind, s Source) bool {
	if kind, known := kindOf[s]; !p.Publish || known && k != kind { // no sound in the name of a camera
		return false
	}
	for _, allowed := range p.Sources {
		if s == allowed {
			return true
		}
	}
	return len(p.Sources) == 0
}

// State is how far a participant has come.
type State uint8

// The states.
const (
	Joining      State = iota // signalling is up
	Joined                    // the connection is being negotiated
	Active                    // media flows
	Disconnected              // gone; the last that is heard of it
)

// ParticipantInfo is what others may know of a participant.
type ParticipantInfo struct {
	SID        string // "PA_…"; new with every join
	Identity   string // unique in the room
	Name       string
	Metadata   string
	Attributes map[string]string
	State      State
	JoinedAt   time.Time
	Version    uint32 // rises with every change
	Permission Permission
	Publisher  bool // has a connection to publish on
	Tracks     []TrackInfo
	Reason     Reason // why it is Disconnected
}

// RoomInfo is what participants may know of their room.
type RoomInfo struct {
	SID          string // "RM_…"; new each time the room comes to life
	Name         string
	Created      time.Time
	Participants int
	Publishers   int
	RoomOptions
}

// RoomOptions is what a room may be told at its making.
type RoomOptions struct {
	// EmptyTimeout is how long a room that CreateRoom made waits for its first
	// participant, DepartureTimeout for another one after the last has left.
	EmptyTimeout, DepartureTimeout time.Duration
	MaxParticipants                int // 0: Config.MaxParticipants alone
	Metadata                       string
}

// Speaker is how loud a participant is.
type Speaker struct {
	SID    string // of the participant
	Level  float32
	Active bool
}

// StreamState says whether a subscriber's stream flows.
type StreamState struct {
	TrackSID       string
	ParticipantSID string // of the publisher
	Paused         bool
}

// SubscribedCodec says which layers of a track in one codec are received.
type SubscribedCodec struct {
	MimeType string // "video/VP8"
	Layers   []SubscribedLayer
}

// SubscribedLayer is one layer of a SubscribedCodec.
type SubscribedLayer struct {
	Quality uint8 // 0 low, 1 medium, 2 high
	Wanted  bool
}

// Reason says why a participant's place ended.
type Reason uint8

// The reasons.
const (
	ReasonUnknown Reason = iota
	ReasonClient
	ReasonDuplicate // somebody joined with the same identity
	ReasonShutdown
	ReasonRemoved
	ReasonRoomClosed
	ReasonStateMismatch
	ReasonSignalLost
	ReasonMediaTimeout
	ReasonMediaFailure
	ReasonRoomFull
)

var reasonNames = [...]string{
	ReasonUnknown: "unknown", ReasonClient: "client", ReasonDuplicate: "duplicate", ReasonShutdown: "shutdown", ReasonRemoved: "removed",
	ReasonRoomClosed: "room closed", ReasonStateMismatch: "state mismatch", ReasonSignalLost: "signal lost", ReasonMediaTimeout: "media timeout",
	ReasonMediaFailure: "media failure", ReasonRoomFull: "room full",
}

// String is the reason's name in logs.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return reasonNames[ReasonUnknown]
}

// Action says what a client whose place ended is to do.
type Action uint8

// The actions.
const (
	ActionDisconnect Action = iota
	ActionReconnect         // join again, with new connections
)

// Target names one of a participant's two connections.
type Target uint8

// The targets.
const (
	TargetPublisher Target = iota
	TargetSubscriber
)

// DataKind is how a data packet travels.
type DataKind uint8

// The kinds of data packets.
const (
	Reliable DataKind = iota
	Lossy
)

// Memo keeps what the first receiver of an event made of it for the others
// who get the same event. Its methods may be called from any goroutine; a nil
// Memo keeps nothing.
type Memo struct {
	once sync.Once
	made any
}

// Do returns what first made, here or at the first call.
func (m *Memo) Do(first func() any) any {
	if m == nil {
		return first()
	}
	m.once.Do(func() { m.made = first() })
	return m.made
}

// Event is something a participant's client has to hear. It is one of the
// types below.
type Event interface{ event() }

type (
	// EventJoined is the first event of a participant.
	EventJoined struct {
		Room   RoomInfo
		Self   ParticipantInfo
		Others []ParticipantInfo
	}
	// EventResumed is the first event after Resume.
	EventResumed struct {
		Room   RoomInfo
		Self   ParticipantInfo
		Others []ParticipantInfo
		Gone   []ParticipantInfo // who left lately, which a broken socket may not have told
		// Muted are the SIDs of one's tracks that the server muted. The client must
		// hear of it before it sees them muted in Self, or takes that for an error
		// and unmutes them.
		Muted []string
	}
	// EventParticipants brings what changed of participants, oneself included,
	// and who left. Those who left come first: one of them may be back.
	EventParticipants struct {
		Participants []ParticipantInfo
		Memo         *Memo
	}
	// EventTrackPublished answers AddTrack.
	EventTrackPublished struct {
		CID   string
		Track TrackInfo
	}
	// EventTrackRefused answers an AddTrack that is not allowed.
	EventTrackRefused struct {
		CID    string
		Limit  bool // too many tracks, rather than no permission
		Reason string
	}
	// EventMetadataRefused answers an UpdateMetadata that is not allowed.
	EventMetadataRefused struct {
		RequestID uint32
		Limit     bool
	}
	// EventMetadataUpdated answers an UpdateMetadata that was done.
	EventMetadataUpdated struct{ RequestID uint32 }
	// EventOffer is an offer of the subscriber connection.
	EventOffer struct {
		SDP string
		ID  uint32
	}
	// EventAnswer answers a client's offer.
	EventAnswer struct {
		SDP    string
		ID     uint32
		Tracks map[string]string // where one connection serves both ways: the SIDs of the tracks it sends, by MID
	}
	// EventSectionsRequired asks the client of a single connection for an offer
	// that has so many sections to receive in more than the last; there may be
	// enough of them.
	EventSectionsRequired struct{ Audios, Videos int }
	// EventCandidate brings an ICE candidate of ours, as RTCIceCandidateInit JSON.
	EventCandidate struct {
		Target Target
		Init   string
	}
	// EventSpeakers brings whose speaking changed.
	EventSpeakers struct {
		Speakers []Speaker
		Memo     *Memo
	}
	// EventSubscriptionFailed says that a wanted track is not to be had: there is
	// none, or the client cannot play what it is encoded in.
	EventSubscriptionFailed struct {
		TrackSID string
		Codec    bool // the latter
	}
	// EventTrackSubscribed says that somebody receives one's track for the
	// first time.
	EventTrackSubscribed struct{ TrackSID string }
	// EventQuality says whose media fares otherwise than before.
	EventQuality struct {
		Qualities []ParticipantQuality
		Memo      *Memo
	}
	// EventRoom says that the room changed: its metadata, or how many are inside.
	EventRoom struct {
		Room RoomInfo
		Memo *Memo
	}
	// EventTrackUnpublished says that the server took one's track away, since it
	// may not be published any more.
	EventTrackUnpublished struct{ TrackSID string }
	// EventTrackMuted says that the server muted one's track.
	EventTrackMuted struct {
		TrackSID string
		Muted    bool
	}
	// EventSubscriptionAllowed says that a track may not be received, or may be
	// after all.
	EventSubscriptionAllowed struct {
		TrackSID       string
		ParticipantSID string // of the publisher
		Allowed        bool
	}
	// EventStreamState tells a subscriber which of its streams are held back for
	// want of bandwidth, and which flow again.
	EventStreamState struct{ States []StreamState }
	// EventSubscribedQuality tells a publisher which layers of its track
	// somebody receives; it may stop sending the others. Every layer of every
	// codec that it publishes is named: a client sends on what is not.
	EventSubscribedQuality struct {
		TrackSID string
		Codecs   []SubscribedCodec
	}
	// EventLeft is the last event of a participant.
	EventLeft struct {
		Reason Reason
		Action Action
	}
)

func (EventJoined) event()              {}
func (EventResumed) event()             {}
func (EventParticipants) event()        {}
func (EventTrackPublished) event()      {}
func (EventTrackRefused) event()        {}
func (EventMetadataRefused) event()     {}
func (EventMetadataUpdated) event()     {}
func (EventOffer) event()               {}
func (EventAnswer) event()              {}
func (EventSectionsRequired) event()    {}
func (EventCandidate) event()           {}
func (EventSpeakers) event()            {}
func (EventSubscriptionFailed) event()  {}
func (EventTrackSubscribed) event()     {}
func (EventQuality) event()             {}
func (EventRoom) event()                {}
func (EventTrackUnpublished) event()    {}
func (EventTrackMuted) event()          {}
func (EventSubscriptionAllowed) event() {}
func (EventStreamState) event()         {}
func (EventSubscribedQuality) event()   {}
func (EventLeft) event()                {}
