namespace GemmaCore.Ops;

/// <summary>Transposes between rows in memory and packed scratch whose lanes are those rows.</summary>
internal static unsafe class LanePacking
{
    /// <summary>packed[h, lane] = factor · source[lane row, h] for the (token, head) lanes of a query tile; padding lanes become zero.</summary>
    public static void PackQueries(in AttentionOperands operands, in QueryTile tile, float* source, float factor, float* packed, int width)
    {
        for (int lane = 0; lane < width; lane++)
            PackLane(lane < tile.Lanes ? Row(operands, tile, source, lane) : null, factor, packed + lane, operands.HeadSize, width);
    }

    /// <summary>packed[h, lane] = factor · source[lane · stride + h]; padding lanes become zero.</summary>
    public static void PackKeys(float* source, nint stride, int lanes, int headSize, float factor, float* packed, int width)
    {
        for (int lane = 0; lane < width; lane++) PackLane(lane < lanes ? source + lane * stride : null, factor, packed + lane, headSize, width);
    }

    /// <summary>destination[h] = (or +=) factor · packed[h, lane].</summary>
    public static void UnpackLane(float* packed, int width, int headSize, float factor, float* destination, bool accumulate)
    {
        for (int h = 0; h < headSize; h++)
        {
            float value = factor * packed[(nint)h * width];
            destination[h] = accumulate ? destination[h] + value : value;
        }
    }

    /// <summary>Where a lane of a query tile has its row in a [T, N, H] tensor.</summary>
    public static float* Row(in AttentionOperands operands, in QueryTile tile, float* tensor, int lane) =>
        tensor + Index(operands, tile, lane) * operands.HeadSize;

    /// <summary>Where a lane of a query tile has its element in a [T, N] tensor.</summary>
    public static nint Index(in AttentionOperands operands, in QueryTile tile, int lane) =>
        (nint)(tile.FirstRow + lane / tile.Group) * operands.Heads + tile.KeyHead * tile.Group + lane % tile.Group;

    private static void PackLane(float* source, float factor, float* packed, int headSize, int width)
    {
        for (int h = 0; h < headSize; h++) packed[(nint)h * width] = source == null ? 0 : factor * source[h];
    }
}
