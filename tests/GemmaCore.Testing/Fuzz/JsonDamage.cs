using System.Text;

namespace GemmaCore.Testing.Fuzz;

/// <summary>Damages JSON bytes in random places: flips, cuts, repeats, and values swapped for awkward ones so that the result is often still JSON.</summary>
public sealed class JsonDamage(int seed, params ReadOnlySpan<string> scraps)
{
    private static readonly string[] Awkward =
    [
        "null", "true", "false", "0", "-1", "0.5", "1e999", "99999999999", "9223372036854775807", "18446744073709551616", "[]", "{}", "\"\"", "\"\\ud800\"",
        "\"\\u0000\\n\"", "[[[[[[", "\"a\"", ",", ":", "{", "}", "]", "\\", "\0", "[0,0]", "[4294967296,4294967296,4294967296]",
    ];

    private readonly byte[][] _scraps = [.. Awkward.Concat(scraps.ToArray()).Select(Encoding.UTF8.GetBytes)];
    private readonly Random _random = new(seed);
    private readonly List<byte> _bytes = [];

    /// <summary>The source of chance, for callers that damage more than the text.</summary>
    public Random Random => _random;

    /// <summary>One to three damages of a copy of <paramref name="original"/>.</summary>
    public byte[] Damage(byte[] original)
    {
        _bytes.Clear();
        _bytes.AddRange(original);
        for (int count = _random.Next(1, 4); count > 0 && _bytes.Count > 0; count--) Once();
        return [.. _bytes];
    }

    private void Once()
    {
        int at = _random.Next(_bytes.Count), length = Math.Min(_random.Next(1, 24), _bytes.Count - at);
        byte[] scrap = _scraps[_random.Next(_scraps.Length)];
        switch (_random.Next(8))
        {
            case 0: _bytes[at] = (byte)_random.Next(256); break;
            case 1: _bytes.RemoveRange(at, length); break;
            case 2: _bytes.InsertRange(at, _bytes.GetRange(_random.Next(_bytes.Count - length + 1), length)); break;
            case 3: _bytes.InsertRange(at, scrap); break;
            case 4: _bytes[at] ^= (byte)(1 << _random.Next(8)); break;
            case 5: ChangeDigit(at); break;
            default: ReplaceValue(at, scrap); break;
        }
    }

    private void ChangeDigit(int from)
    {
        int at = _bytes.FindIndex(from, value => value is >= (byte)'0' and <= (byte)'9');
        if (at >= 0) _bytes[at] = (byte)('0' + _random.Next(10));
    }

    private void ReplaceValue(int from, byte[] scrap)
    {
        int start = _bytes.FindIndex(from, value => value is (byte)':' or (byte)'[' or (byte)',') + 1;
        if (start == 0) return;
        int end = _bytes.FindIndex(start, value => value is (byte)',' or (byte)'}' or (byte)']');
        if (end < 0) return;
        _bytes.RemoveRange(start, end - start);
        _bytes.InsertRange(start, scrap);
    }
}
