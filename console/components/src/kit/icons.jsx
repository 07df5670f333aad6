// The icons of the kit. Python names them; one that is not here is drawn as a circle.
import {
  AlertCircle, AlertTriangle, ArrowDown, ArrowLeft, ArrowRight, ArrowUp, ArrowUpDown, BarChart3, Ban, Bell, Bold, Bot, Building2, CalendarClock,
  Check, CheckCheck, CheckCircle2, ChevronDown, ChevronLeft, ChevronRight, ChevronUp, ChevronsUpDown, Circle, CircleDashed, Clock, Code,
  Copy, CornerUpLeft, CreditCard, Download, Ellipsis, ExternalLink, Eye, EyeOff, FileSpreadsheet, FileText, Filter, FlaskConical, FolderOpen,
  Gauge, Globe, History, Image, Inbox, Info, Italic, Key, Languages, LayoutDashboard, Link, Link2, List, LoaderCircle, LogOut, Mail, MapPin,
  Megaphone, Menu, MessageCircle, MessageSquare, Minus, Monitor, Moon, PanelLeft, Paperclip, Pause, Pencil, Percent, Phone, Play, Plug, Plus,
  Radio, RefreshCw, Rocket, RotateCcw, Search, Send, Settings, Shield, ShieldCheck, SlidersHorizontal, Sparkles, SquareKanban, Star,
  Strikethrough, Sun, Tag, Tags, Trash2, TrendingUp, Upload, User, UserPlus, UserX, Users, Variable, Video, Webhook, Wifi, WifiOff, X, Zap,
} from "lucide-react"

const icons = {
  AlertCircle, AlertTriangle, ArrowDown, ArrowLeft, ArrowRight, ArrowUp, ArrowUpDown, BarChart3, Ban, Bell, Bold, Bot, Building2, CalendarClock,
  Check, CheckCheck, CheckCircle2, ChevronDown, ChevronLeft, ChevronRight, ChevronUp, ChevronsUpDown, Circle, CircleDashed, Clock, Code,
  Copy, CornerUpLeft, CreditCard, Download, Ellipsis, ExternalLink, Eye, EyeOff, FileSpreadsheet, FileText, Filter, FlaskConical, FolderOpen,
  Gauge, Globe, History, Image, Inbox, Info, Italic, Key, Languages, LayoutDashboard, Link, Link2, List, LoaderCircle, LogOut, Mail, MapPin,
  Megaphone, Menu, MessageCircle, MessageSquare, Minus, Monitor, Moon, PanelLeft, Paperclip, Pause, Pencil, Percent, Phone, Play, Plug, Plus,
  Radio, RefreshCw, Rocket, RotateCcw, Search, Send, Settings, Shield, ShieldCheck, SlidersHorizontal, Sparkles, SquareKanban, Star,
  Strikethrough, Sun, Tag, Tags, Trash2, TrendingUp, Upload, User, UserPlus, UserX, Users, Variable, Video, Webhook, Wifi, WifiOff, X, Zap,
}

export function Icon({name, ...rest}) {
  const Drawn = icons[name] ?? Circle
  return <Drawn size={16} strokeWidth={1.9} aria-hidden="true" {...rest}/>
}
