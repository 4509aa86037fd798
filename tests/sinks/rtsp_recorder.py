"""A real RTSP server, GStreamer's, that records what is sent to it (H.264 and AAC) into Matroska.

Run by the system's Python, as `tests/sources/rtsp_server.py` is:

    /usr/bin/python3 rtsp_recorder.py PORT FILE.mkv
"""

import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PARTS = ("rtph264depay", "h264parse", "rtpmp4gdepay", "aacparse", "matroskamux")


def main() -> None:
    Gst.init(None)
    if sys.argv[1:] == ["--check"]:
        missing = [name for name in PARTS if Gst.ElementFactory.find(name) is None]
        sys.exit(f"missing: {missing}" if missing else 0)
    port, path = sys.argv[1:]
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    factory.set_launch(
        "( matroskamux name=m streamable=true ! "
        f"filesink location={path} async=false sync=false "
        "rtph264depay name=depay0 ! h264parse ! queue ! m. "
        "rtpmp4gdepay name=depay1 ! aacparse ! queue ! m. )"
    )
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGTERM, loop.quit)
    print("ready", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
