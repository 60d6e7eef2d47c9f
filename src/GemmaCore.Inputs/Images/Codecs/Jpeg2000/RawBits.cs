namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>Bits of passes that are not arithmetically coded (T.800, D.6): the byte behind FF has seven. Behind the bytes stand ones.</summary>
internal sealed class RawBits
{
    private byte[] _bytes = [];
    private int _at, _end, _left, _byte;

    public void Begin(byte[] bytes, int start, int length) => (_bytes, _at, _end, _left, _byte) = (bytes, start, start + length, 0, 0);

    public int Next()
    {
        if (_left == 0)
        {
            _left = _byte == 0xFF ? 7 : 8;
            _byte = _at < _end ? _bytes[_at++] : 0xFF;
        }

        return _byte >> --_left & 1;
    }
}
