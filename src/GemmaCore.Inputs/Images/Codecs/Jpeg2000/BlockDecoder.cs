using System.Runtime.CompilerServices;
using static GemmaCore.Inputs.Codecs.Jpeg2000.BlockContexts;

namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>
/// Turns the passes of a code block into coefficients (T.800, annex D). Magnitudes come with one bit behind the point, in the middle of what the passes leave open. Buffers are kept for the next block.
/// </summary>
internal sealed class BlockDecoder
{
    private const int StripeRows = 4, FirstRawPass = 10;

    private readonly MqDecoder _mq = new();
    private readonly RawBits _raw = new();
    private int[] _flags = [], _magnitudes = [];
    private byte[] _bytes = [];
    private int _width, _height, _stride, _band;
    private bool _isCausal;

    /// <summary>The magnitudes of the block that was decoded last, twice their size, [height, width].</summary>
    public ReadOnlySpan<int> Magnitudes => _magnitudes.AsSpan(0, _width * _height);

    /// <summary>Whether a coefficient of that block is negative.</summary>
    public bool IsNegative(int x, int y) => (_flags[(y + 1) * _stride + x + 1] & Negative) != 0;

    /// <summary>Decodes a block.</summary>
    /// <param name="block">Its size, its passes and where their bytes lie.</param>
    /// <param name="data">The tile's bytes.</param>
    /// <param name="kind">Of its subband.</param>
    /// <param name="planes">Bit planes of its magnitudes, without those that are said to be empty; up to 30.</param>
    /// <param name="style">How it was coded.</param>
    public void Decode(CodeBlock block, ReadOnlySpan<byte> data, BandKind kind, int planes, BlockStyle style)
    {
        (_width, _height, _stride, _band, _isCausal) = (block.Width, block.Height, block.Width + 2, (int)kind << 8, style.HasFlag(BlockStyle.Causal));
        Clear(ref _flags, _stride * (_height + 2));
        Clear(ref _magnitudes, _width * _height);
        int total = 0;
        foreach (BlockSegment segment in block.Segments) total += segment.Length;
        if (_bytes.Length < total) _bytes = new byte[total];
        int filled = 0;
        foreach ((int start, int length) in block.Pieces)
        {
            data.Slice(start, length).CopyTo(_bytes.AsSpan(filled));
            filled += length;
        }

        _mq.ResetContexts();
        int pass = 0, at = 0;
        foreach (BlockSegment segment in block.Segments)
        {
            bool isRaw = IsRaw(pass, style);
            if (isRaw) _raw.Begin(_bytes, at, segment.Length);
            else _mq.Begin(_bytes, at, segment.Length);
            at += segment.Length;
            for (int i = 0; i < segment.Passes; i++, pass++)
            {
                // The first pass is a cleanup; then three for each plane.
                int plane = planes - 1 - (pass + 2) / 3;
                switch ((pass + 2) % 3)
                {
                    case 0: Propagate(plane, isRaw); break;
                    case 1: Refine(plane, isRaw); break;
                    default:
                        CleanUp(plane);
                        if (style.HasFlag(BlockStyle.SegmentationSymbols)) for (int bit = 0; bit < 4; bit++) _mq.Decode(MqDecoder.Uniform);
                        break;
                }

                if (style.HasFlag(BlockStyle.Reset)) _mq.ResetContexts();
            }
        }
    }

    /// <summary>Whether a pass is not arithmetically coded.</summary>
    public static bool IsRaw(int pass, BlockStyle style) => style.HasFlag(BlockStyle.Bypass) && pass >= FirstRawPass && (pass + 2) % 3 != 2;

    /// <summary>How many passes at most share a segment that begins with one (T.800, D.4.2 and table D.9).</summary>
    public static int PassesOfSegment(int firstPass, BlockStyle style)
    {
        if (style.HasFlag(BlockStyle.TerminateAll)) return 1;
        if (!style.HasFlag(BlockStyle.Bypass)) return int.MaxValue;
        return firstPass < FirstRawPass ? FirstRawPass - firstPass : IsRaw(firstPass, style) ? 2 - (firstPass + 2) % 3 : 1;
    }

    private static void Clear(ref int[] buffer, int length)
    {
        if (buffer.Length < length) buffer = new int[length];
        else buffer.AsSpan(0, length).Clear();
    }

    // D.3.1.
    private void Propagate(int plane, bool isRaw)
    {
        int[] flags = _flags;
        for (int top = 0; top < _height; top += StripeRows)
        {
            int bottom = Math.Min(top + StripeRows, _height);
            for (int x = 0; x < _width; x++)
            {
                for (int y = top; y < bottom; y++)
                {
                    int at = (y + 1) * _stride + x + 1, known = Known(flags[at], y);
                    if ((known & Neighbours) == 0 || (known & Significant) != 0) continue;
                    int bit = isRaw ? _raw.Next() : _mq.Decode(Significance[_band | known & Neighbours]);
                    if (bit == 1) BecomeSignificant(x, y, at, plane, known, isRaw);
                    flags[at] |= Visited;
                }
            }
        }
    }

    // D.3.3.
    private void Refine(int plane, bool isRaw)
    {
        int[] flags = _flags;
        for (int top = 0; top < _height; top += StripeRows)
        {
            int bottom = Math.Min(top + StripeRows, _height);
            for (int x = 0; x < _width; x++)
            {
                for (int y = top; y < bottom; y++)
                {
                    int at = (y + 1) * _stride + x + 1;
                    if ((flags[at] & (Significant | Visited)) != Significant) continue;
                    int bit = isRaw ? _raw.Next() : _mq.Decode(Refinement(Known(flags[at], y)));
                    _magnitudes[y * _width + x] += bit == 1 ? 1 << plane : -(1 << plane);
                    flags[at] |= Refined;
                }
            }
        }
    }

    // D.3.4.
    private void CleanUp(int plane)
    {
        int[] flags = _flags;
        for (int top = 0; top < _height; top += StripeRows)
        {
            int bottom = Math.Min(top + StripeRows, _height);
            for (int x = 0; x < _width; x++)
            {
                int y = top, first = (top + 1) * _stride + x + 1;
                bool isFirstKnown = false;
                if (bottom - top == StripeRows
                    && ((flags[first] | flags[first + _stride] | flags[first + 2 * _stride] | Known(flags[first + 3 * _stride], top + 3)) & (Neighbours | Significant | Visited)) == 0)
                {
                    if (_mq.Decode(MqDecoder.Run) == 0) continue;
                    y += _mq.Decode(MqDecoder.Uniform) << 1 | _mq.Decode(MqDecoder.Uniform);
                    isFirstKnown = true;
                }

                for (; y < bottom; y++)
                {
                    int at = (y + 1) * _stride + x + 1, known = Known(flags[at], y);
                    if ((known & (Significant | Visited)) == 0)
                    {
                        if (isFirstKnown || _mq.Decode(Significance[_band | known & Neighbours]) == 1) BecomeSignificant(x, y, at, plane, known, isRaw: false);
                        isFirstKnown = false;
                    }

                    flags[at] &= ~Visited;
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Known(int flags, int y) => _isCausal && y % StripeRows == StripeRows - 1 ? flags & ~Below : flags;

    // D.3.2; the neighbours are told.
    private void BecomeSignificant(int x, int y, int at, int plane, int known, bool isRaw)
    {
        int sign;
        if (isRaw)
        {
            sign = _raw.Next();
        }
        else
        {
            int row = Signs[known >> 4 & 255];
            sign = _mq.Decode(row >> 1) ^ (row & 1);
        }

        _magnitudes[y * _width + x] = 3 << plane;
        int[] flags = _flags;
        int above = at - _stride, below = at + _stride;
        flags[above - 1] |= SouthEast;
        flags[above + 1] |= SouthWest;
        flags[below - 1] |= NorthEast;
        flags[below + 1] |= NorthWest;
        flags[above] |= South | (sign == 0 ? 0 : NegativeSouth);
        flags[below] |= North | (sign == 0 ? 0 : NegativeNorth);
        flags[at - 1] |= East | (sign == 0 ? 0 : NegativeEast);
        flags[at + 1] |= West | (sign == 0 ? 0 : NegativeWest);
        flags[at] |= Significant | (sign == 0 ? 0 : Negative);
    }
}
