"""A real RTSP server, GStreamer's, which serves an MP4 or MPEG-TS file (H.264 and AAC).

Run by the system's Python, which has GStreamer's bindings (Debian: python3-gi,
gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good, for MPEG-TS gstreamer1.0-plugins-bad):

    /usr/bin/python3 rtsp_server.py PORT FILE [--g711] [USER PASSWORD]

With --g711 the sound is a tone as most cameras send it, in place of the file's.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def main() -> None:
    Gst.init(None)
    if sys.argv[1] == "--check":
        missing = [name for name in sys.argv[2:] if Gst.ElementFactory.find(name) is None]
        sys.exit(f"missing: {missing}" if missing else 0)
    port, path, *login = (word for word in sys.argv[1:] if word != "--g711")
    sound = "d.audio_0 ! queue ! rtpmp4apay name=pay1 pt=97"
    if "--g711" in sys.argv:
        sound = (
            "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! "
            "rtppcmupay name=pay1 pt=0"
        )
    pay = "rtph264pay name=pay0 pt=96 config-interval=-1"
    opened = "qtdemux name=d d.video_0 ! queue"
    if path.endswith(".ts"):
        opened = "tsdemux name=d d. ! queue max-size-time=0 ! h264parse config-interval=-1"
        sound = "d. ! queue max-size-time=0 ! aacparse ! rtpmp4apay name=pay1 pt=97"
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(f"( filesrc location={path} ! {opened} ! {pay} {sound} )")
    factory.set_shared(True)
    if login:
        user, password = login
        auth = GstRtspServer.RTSPAuth.new()
        token = GstRtspServer.RTSPToken.new()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions.new()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/stream", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
