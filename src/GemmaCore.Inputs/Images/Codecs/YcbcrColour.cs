namespace GemmaCore.Inputs.Codecs;

/// <summary>BT.601 over the whole range, which JPEG, DICOM (PS3.3, C.7.6.3.1.2) and scanners of slides have in common.</summary>
internal static class YcbcrColour
{
    private const double RedOfCr = 1.402, GreenOfCb = 0.344136, GreenOfCr = 0.714136, BlueOfCb = 1.772;

    /// <param name="y">Brightness.</param>
    /// <param name="cb">Difference of blue, 128 for none.</param>
    /// <param name="cr">Difference of red, 128 for none.</param>
    public static (byte Red, byte Green, byte Blue) Rgb(int y, int cb, int cr) =>
        (Byte(y + RedOfCr * (cr - 128)), Byte(y - GreenOfCb * (cb - 128) - GreenOfCr * (cr - 128)), Byte(y + BlueOfCb * (cb - 128)));

    private static byte Byte(double value) => (byte)Math.Clamp(Math.Round(value), 0, 255);
}
