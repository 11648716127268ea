package ndt7

// measurement is a text message of the protocol. Times are microseconds since the test began; the names are the protocol's.
type measurement struct {
	AppInfo        *appInfo        `json:",omitempty"`
	ConnectionInfo *connectionInfo `json:",omitempty"` // in one message of a test
	Origin         string
	Test           string
	TCPInfo        *tcpInfo `json:",omitempty"` // where the system tells
}

// appInfo counts what the test has sent or received, without the cost of WebSocket, TLS and TCP.
type appInfo struct {
	ElapsedTime int64
	NumBytes    int64
}

// connectionInfo names both ends as the server sees them.
type connectionInfo struct {
	Client string
	Server string
}

// tcpInfo is what the server's kernel knows of the connection.
type tcpInfo struct {
	BusyTime      int64
	BytesAcked    int64
	BytesReceived int64
	BytesSent     int64
	BytesRetrans  int64
	ElapsedTime   int64
	MinRTT        int64
	RTT           int64
	RTTVar        int64
	RWndLimited   int64
	SndBufLimited int64
}
