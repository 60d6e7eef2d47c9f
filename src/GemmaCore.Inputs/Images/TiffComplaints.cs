using BitMiracle.LibTiff.Classic;

namespace GemmaCore.Inputs;

/// <summary>
/// LibTiff writes to stderr what it does not like, and hands out single tiles and strips as if they were whole. Here it is silent, and what it complained of is known to the thread that reads.
/// </summary>
internal sealed class TiffComplaints : TiffErrorHandler
{
    [ThreadStatic]
    private static int _errors;

    /// <summary>What is read, or null where LibTiff complained meanwhile.</summary>
    public static T? Heed<T>(Func<T?> read)
        where T : class
    {
        int before = _errors;
        T? result = read();
        return _errors == before ? result : null;
    }

    public override void ErrorHandler(Tiff tif, string method, string format, params object[] args) => _errors++;

    public override void ErrorHandlerExt(Tiff tif, object clientData, string method, string format, params object[] args)
    {
    }

    public override void WarningHandler(Tiff tif, string method, string format, params object[] args)
    {
    }

    public override void WarningHandlerExt(Tiff tif, object clientData, string method, string format, params object[] args)
    {
    }
}
