using System.Runtime.InteropServices;

namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>Turns the packets of a tile into samples.</summary>
internal sealed class TileDecoder(CodestreamHeader header, CodecComplaint complaint)
{
    private const int MostPlanes = 30;

    // What packets may look at, for each sample: a block of 64 x 64 is one for 4096, so far more layers than anybody writes stay below.
    private const long WorkOfSample = 16, LeastWork = 1 << 22;

    private readonly BlockDecoder _blocks = new();
    private readonly Wavelet _wavelet = new();

    /// <param name="tile">Its part of the picture, on the reference grid.</param>
    /// <param name="parameters">How it is coded.</param>
    /// <param name="data">Its packets.</param>
    /// <param name="samples">The whole picture's.</param>
    /// <exception cref="InputException">Cut off or damaged.</exception>
    public void Decode(GridArea tile, CodingParameters parameters, ReadOnlySpan<byte> data, Span<ushort> samples)
    {
        var components = new TileComponent[header.Components.Length];
        for (int i = 0; i < components.Length; i++)
        {
            (CodingStyle style, Quantization quantization) = parameters.Of(i);
            components[i] = TileComponent.Lay(tile, header.Components[i], style, quantization, parameters.Shifts[i], complaint);
        }

        long count = components.Sum(component => (long)component.Area.Width * component.Area.Height);
        new PacketReader(data, count * WorkOfSample + LeastWork, complaint).ReadAll(tile, components, parameters);
        var planes = new float[components.Length][];
        for (int i = 0; i < components.Length; i++) planes[i] = Plane(components[i], data);
        if (parameters.Tile.MixesComponents) Unmix(components, planes);
        for (int i = 0; i < components.Length; i++) Write(tile, components[i], i, planes[i], samples);
    }

    // Whole numbers lie in the bits of the floats.
    private float[] Plane(TileComponent component, ReadOnlySpan<byte> data)
    {
        int stride = component.Area.Width;
        var plane = new float[stride * component.Area.Height];
        Span<int> whole = MemoryMarshal.Cast<float, int>(plane.AsSpan());
        bool isReversible = component.Style.IsReversible;
        foreach (Resolution resolution in component.Resolutions)
        {
            foreach (Precinct precinct in resolution.Precincts)
            {
                foreach (PrecinctBand band in precinct.Bands ?? [])
                {
                    foreach (CodeBlock block in band.Blocks)
                    {
                        if (block.Passes == 0) continue;
                        int planes = band.Band.Planes - block.ZeroPlanes;
                        if (planes > MostPlanes) throw complaint.Unread($"its coefficients have {planes} bits");
                        if (planes < 1 || block.Passes > 3 * planes - 2) throw complaint.Damaged("a code block has more passes than bits");
                        _blocks.Decode(block, data, band.Band.Kind, planes, component.Style.Style);
                        int at = (band.Band.Top + block.Top) * stride + band.Band.Left + block.Left;
                        if (isReversible) PutWhole(block, component.Shift, whole[at..], stride);
                        else Put(block, component.Shift, band.Band.Step / 2, plane.AsSpan(at), stride);
                    }
                }
            }
        }

        if (isReversible) _wavelet.Reversible(plane, stride, component.Resolutions);
        else _wavelet.Irreversible(plane, stride, component.Resolutions);
        return plane;
    }

    private void PutWhole(CodeBlock block, int shift, Span<int> plane, int stride)
    {
        for (int y = 0; y < block.Height; y++)
        {
            for (int x = 0; x < block.Width; x++)
            {
                int value = Unshifted(_blocks.Magnitude(x, y), shift) >> 1;
                plane[y * stride + x] = _blocks.IsNegative(x, y) ? -value : value;
            }
        }
    }

    private void Put(CodeBlock block, int shift, float step, Span<float> plane, int stride)
    {
        for (int y = 0; y < block.Height; y++)
        {
            for (int x = 0; x < block.Width; x++)
            {
                float value = Unshifted(_blocks.Magnitude(x, y), shift) * step;
                plane[y * stride + x] = _blocks.IsNegative(x, y) ? -value : value;
            }
        }
    }

    // Coefficients of interest were moved above all others (T.800, annex H); magnitudes are twice their size.
    private static int Unshifted(int magnitude, int shift) => shift > 0 && (shift > MostPlanes ? 0 : magnitude >> (shift + 1)) != 0 ? magnitude >> shift : magnitude;

    // T.800, annex G.
    private void Unmix(TileComponent[] components, float[][] planes)
    {
        if (components.Length < 3) throw complaint.Damaged("it mixes three components and has fewer");
        bool isReversible = components[0].Style.IsReversible;
        for (int i = 1; i < 3; i++)
            if (components[i].Area != components[0].Area || components[i].Style.IsReversible != isReversible) throw complaint.Damaged("components that are mixed are not alike");
        if (isReversible)
        {
            Span<int> first = MemoryMarshal.Cast<float, int>(planes[0].AsSpan()), second = MemoryMarshal.Cast<float, int>(planes[1].AsSpan()), third = MemoryMarshal.Cast<float, int>(planes[2].AsSpan());
            for (int i = 0; i < first.Length; i++)
            {
                int green = first[i] - ((second[i] + third[i]) >> 2);
                (first[i], second[i], third[i]) = (third[i] + green, green, second[i] + green);
            }

            return;
        }

        for (int i = 0; i < planes[0].Length; i++)
        {
            (float y, float cb, float cr) = (planes[0][i], planes[1][i], planes[2][i]);
            (planes[0][i], planes[1][i], planes[2][i]) = (y + 1.402f * cr, y - 0.344136f * cb - 0.714136f * cr, y + 1.772f * cb);
        }
    }

    private void Write(GridArea tile, TileComponent component, int number, float[] plane, Span<ushort> samples)
    {
        GridArea area = component.Area;
        if (area.IsEmpty) return;
        (int bits, bool isSigned, int stepX, int stepY) = component.Size;
        int middle = isSigned ? 0 : 1 << (bits - 1), smallest = isSigned ? -1 << (bits - 1) : 0, largest = smallest + (1 << bits) - 1, count = header.Components.Length;
        ReadOnlySpan<int> whole = MemoryMarshal.Cast<float, int>(plane.AsSpan());
        bool isReversible = component.Style.IsReversible;
        for (int y = tile.Top; y < tile.Bottom; y++)
        {
            int row = Math.Max(y / stepY, area.Top) - area.Top, to = ((y - header.Top) * header.Width + tile.Left - header.Left) * count + number;
            for (int x = tile.Left; x < tile.Right; x++, to += count)
            {
                int from = row * area.Width + (stepX == 1 ? x : Math.Max(x / stepX, area.Left)) - area.Left;
                int value = isReversible ? whole[from] : (int)Math.Clamp(MathF.Round(plane[from]), -1 << 20, 1 << 20);
                samples[to] = (ushort)Math.Clamp(value + middle, smallest, largest);
            }
        }
    }
}
