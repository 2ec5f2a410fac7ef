package signaling

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"net/http"
	"strings"

	"google.golang.org/protobuf/proto"

	"commsd/internal/errcode"
	lk "commsd/internal/lkproto"
	"commsd/sfu"
)

// maxJoinRequest bounds an unpacked join_request; what would be more is not
// unpacked.
const maxJoinRequest = 1 << 20

// isVersion1 tells the endpoints of version 1 of the protocol, one
// PeerConnection a client, from those of version 0.
func isVersion1(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/rtc/v1") }

// crowded refuses version 1 in a room whose tracks are too many for it. A
// client falls back to version 0 at the 404.
func (s *Service) crowded(r *http.Request, opt options, room string) bool {
	return isVersion1(r) && !opt.reconnect && s.cfg.SFU.Crowded(room)
}

// optionsOf reads what a request asks for. A request of version 1 may leave
// join_request out, and say it as in version 0.
func optionsOf(r *http.Request) (options, error) {
	q := r.URL.Query()
	token := hashOf(tokenOf(r))
	opt := readOptions(q)
	opt.token = token
	if !isVersion1(r) {
		return opt, nil
	}
	if packed := q.Get("join_request"); packed != "" {
		request, err := unpackJoinRequest(packed)
		if err != nil {
			return options{}, err
		}
		opt = joinOptions(request)
		opt.token = token
	}
	opt.oneConnection = true
	return opt, nil
}

// unpackJoinRequest reads a WrappedJoinRequest in base64url (RFC 4648, 5),
// padded or not.
func unpackJoinRequest(packed string) (*lk.JoinRequest, error) {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(packed, "="))
	if err != nil {
		return nil, errcode.Wrap(err, errcode.Invalid, "join_request is not base64url")
	}
	wrapped := &lk.WrappedJoinRequest{}
	if err := proto.Unmarshal(data, wrapped); err != nil {
		return nil, errcode.Wrap(err, errcode.Invalid, "join_request is not a WrappedJoinRequest")
	}
	data = wrapped.GetJoinRequest()
	switch wrapped.GetCompression() {
	case lk.WrappedJoinRequest_NONE:
	case lk.WrappedJoinRequest_GZIP:
		if data, err = gunzip(data); err != nil {
			return nil, err
		}
	default:
		return nil, errcode.New(errcode.Invalid, "join_request is compressed in an unknown way; use gzip")
	}
	request := &lk.JoinRequest{}
	if tooManyFields(data, request.ProtoReflect().Descriptor()) {
		return nil, errcode.New(errcode.TooLarge, "join_request has more than %d fields", maxFields)
	}
	if err := proto.Unmarshal(data, request); err != nil {
		return nil, errcode.Wrap(err, errcode.Invalid, "join_request holds no JoinRequest")
	}
	return request, nil
}

func gunzip(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, errcode.Wrap(err, errcode.Invalid, "join_request is not gzip")
	}
	data, err := io.ReadAll(io.LimitReader(z, maxJoinRequest+1))
	switch {
	case len(data) > maxJoinRequest:
		return nil, errcode.New(errcode.TooLarge, "join_request unpacks to more than %d bytes", maxJoinRequest)
	case err != nil:
		return nil, errcode.Wrap(err, errcode.Invalid, "join_request is not whole gzip")
	}
	return data, nil
}

// joinOptions takes from a join request what version 0 has in its query and in
// the first messages.
func joinOptions(r *lk.JoinRequest) options {
	opt := options{
		autoSubscribe: r.GetConnectionSettings() == nil || r.GetConnectionSettings().GetAutoSubscribe(),
		reconnect:     r.GetReconnect(),
		sid:           r.GetParticipantSid(),
		firefox:       strings.EqualFold(r.GetClientInfo().GetBrowser(), "firefox"),
	}
	if o := r.GetPublisherOffer(); o.GetSdp() != "" {
		opt.offer = &sfu.Offer{SDP: o.GetSdp(), ID: o.GetId()}
	}
	if r.GetMetadata() != "" || len(r.GetParticipantAttributes()) > 0 {
		opt.first = append(opt.first, &lk.SignalRequest{Message: &lk.SignalRequest_UpdateMetadata{
			UpdateMetadata: &lk.UpdateParticipantMetadata{Metadata: r.GetMetadata(), Attributes: r.GetParticipantAttributes()},
		}})
	}
	for _, t := range r.GetAddTrackRequests() {
		opt.first = append(opt.first, &lk.SignalRequest{Message: &lk.SignalRequest_AddTrack{AddTrack: t}})
	}
	if state := r.GetSyncState(); state != nil {
		opt.first = append(opt.first, &lk.SignalRequest{Message: &lk.SignalRequest_SyncState{SyncState: state}})
	}
	return opt
}

// doFirst does what a join request asked for beyond the place, as far as the
// place's share goes.
func (ses *session) doFirst(so *socket, opt options) {
	for _, r := range opt.first {
		if !ses.share.take(weight(r), 0) {
			return
		}
		ses.do(so, r)
	}
}
