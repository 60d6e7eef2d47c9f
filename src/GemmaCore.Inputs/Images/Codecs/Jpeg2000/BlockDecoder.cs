using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static GemmaCore.Inputs.Codecs.Jpeg2000.BlockContexts;

namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>
/// Turns the passes of a code block into coefficients (T.800, annex D). Magnitudes come with one bit behind the point, in the middle of what the passes leave open. Buffers are kept for the next block.
/// The four rows of a stripe's column lie together, as the passes go through them, with a stripe and a column of nothing around the block.
/// </summary>
internal sealed class BlockDecoder
{
    private const int StripeRows = 4, FirstRawPass = 10;

    private readonly MqDecoder _mq = new();
    private readonly RawBits _raw = new();
    private int[] _flags = [], _magnitudes = [];
    private byte[] _bytes = [];
    private int _width, _height, _stride, _band; // stride: flags of a stripe
    private bool _isCausal;

    /// <summary>A coefficient of the block that was decoded last, twice its magnitude.</summary>
    public int Magnitude(int x, int y) => _magnitudes[Place(x, y)];

    /// <summary>Whether that coefficient is negative.</summary>
    public bool IsNegative(int x, int y) => (_flags[Place(x, y)] & Negative) != 0;

    /// <summary>Decodes a block.</summary>
    /// <param name="block">Its size, its passes and where their bytes lie.</param>
    /// <param name="data">The tile's bytes.</param>
    /// <param name="kind">Of its subband.</param>
    /// <param name="planes">Bit planes of its magnitudes, without those that are said to be empty; up to 30.</param>
    /// <param name="style">How it was coded.</param>
    public void Decode(CodeBlock block, ReadOnlySpan<byte> data, BandKind kind, int planes, BlockStyle style)
    {
        (_width, _height, _stride, _band, _isCausal) = (block.Width, block.Height, (block.Width + 2) * StripeRows, (int)kind << 8, style.HasFlag(BlockStyle.Causal));
        int room = _stride * ((_height + StripeRows - 1) / StripeRows + 2);
        Clear(ref _flags, room);
        Clear(ref _magnitudes, room);
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

    private int Place(int x, int y) => (y / StripeRows + 1) * _stride + (x + 1) * StripeRows + y % StripeRows;

    // D.3.1.
    private void Propagate(int plane, bool isRaw)
    {
        int[] flags = _flags;
        for (int top = 0; top < _height; top += StripeRows)
        {
            int rows = Math.Min(StripeRows, _height - top), first = Place(0, top);
            for (int end = first + _width * StripeRows; first < end; first += StripeRows)
            {
                if (!Any(flags, first, Neighbours)) continue;
                for (int row = 0; row < rows; row++)
                {
                    int at = first + row, known = Known(flags[at], row);
                    if ((known & Neighbours) == 0 || (known & Significant) != 0) continue;
                    int bit = isRaw ? _raw.Next() : _mq.Decode(Significance[_band | known & Neighbours]);
                    if (bit == 1) BecomeSignificant(at, row, plane, known, isRaw);
                    flags[at] |= Visited;
                }
            }
        }
    }

    // D.3.3.
    private void Refine(int plane, bool isRaw)
    {
        int[] flags = _flags, magnitudes = _magnitudes;
        int half = 1 << plane;
        for (int top = 0; top < _height; top += StripeRows)
        {
            int rows = Math.Min(StripeRows, _height - top), first = Place(0, top);
            for (int end = first + _width * StripeRows; first < end; first += StripeRows)
            {
                if (!Any(flags, first, Significant)) continue;
                for (int row = 0; row < rows; row++)
                {
                    int at = first + row, known = flags[at];
                    if ((known & (Significant | Visited)) != Significant) continue;
                    int bit = isRaw ? _raw.Next() : _mq.Decode(Refinement(Known(known, row)));
                    magnitudes[at] += bit == 1 ? half : -half;
                    flags[at] = known | Refined;
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
            int rows = Math.Min(StripeRows, _height - top), first = Place(0, top);
            for (int end = first + _width * StripeRows; first < end; first += StripeRows)
            {
                int row = 0;
                bool isFirstKnown = false;
                if (rows == StripeRows && IsQuiet(flags, first))
                {
                    if (_mq.Decode(MqDecoder.Run) == 0) continue;
                    row = _mq.Decode(MqDecoder.Uniform) << 1 | _mq.Decode(MqDecoder.Uniform);
                    isFirstKnown = true;
                }

                for (; row < rows; row++)
                {
                    int at = first + row, known = Known(flags[at], row);
                    if ((known & (Significant | Visited)) == 0)
                    {
                        if (isFirstKnown || _mq.Decode(Significance[_band | known & Neighbours]) == 1) BecomeSignificant(at, row, plane, known, isRaw: false);
                        isFirstKnown = false;
                    }

                    flags[at] &= ~Visited;
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Any(int[] flags, int first, int flag) => (Vector128.LoadUnsafe(ref flags[first]) & Vector128.Create(flag)) != Vector128<int>.Zero;

    // Whether nothing is known of a column and its neighbours.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsQuiet(int[] flags, int first) => _isCausal
        ? ((flags[first] | flags[first + 1] | flags[first + 2] | flags[first + 3] & ~Below) & (Neighbours | Significant | Visited)) == 0
        : !Any(flags, first, Neighbours | Significant | Visited);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Known(int flags, int row) => _isCausal && row == StripeRows - 1 ? flags & ~Below : flags;

    // D.3.2; the neighbours are told.
    private void BecomeSignificant(int at, int row, int plane, int known, bool isRaw)
    {
        int sign;
        if (isRaw)
        {
            sign = _raw.Next();
        }
        else
        {
            int turned = Signs[known >> 4 & 255];
            sign = _mq.Decode(turned >> 1) ^ (turned & 1);
        }

        _magnitudes[at] = 3 << plane;
        int[] flags = _flags;
        int above = row > 0 ? at - 1 : at - _stride + StripeRows - 1, below = row < StripeRows - 1 ? at + 1 : at + _stride - StripeRows + 1;
        flags[above - StripeRows] |= SouthEast;
        flags[above + StripeRows] |= SouthWest;
        flags[below - StripeRows] |= NorthEast;
        flags[below + StripeRows] |= NorthWest;
        flags[above] |= South | (sign == 0 ? 0 : NegativeSouth);
        flags[below] |= North | (sign == 0 ? 0 : NegativeNorth);
        flags[at - StripeRows] |= East | (sign == 0 ? 0 : NegativeEast);
        flags[at + StripeRows] |= West | (sign == 0 ? 0 : NegativeWest);
        flags[at] |= Significant | (sign == 0 ? 0 : Negative);
    }
}
